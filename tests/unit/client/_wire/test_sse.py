import random

import pytest

from peatnode.client._wire.sse import SseDecoder, SseEvent
from peatnode.client.errors import UnexpectedAnswer

STREAM = (
    "id: 3\nretry: 1000\n\n"
    ":\n\n"
    'id: 4\nevent: SyncEvent\ndata: {"a":"ü"}\n\n'
    "data: one\r\ndata:two\r\n\r\n"
    "id: 5\ndata: x\n\n"
    "data: never finished"
).encode()

EVENTS = [SseEvent("4", '{"a":"ü"}'), SseEvent("4", "one\ntwo"), SseEvent("5", "x")]


def test_events_of_a_stream_in_one_piece() -> None:
    assert list(SseDecoder().receive_data(STREAM)) == EVENTS


def test_events_of_a_stream_in_any_cut(rng: random.Random) -> None:
    for _ in range(200):
        stream, found, rest = SseDecoder(), [], STREAM
        while rest:
            cut = rng.randint(1, 12)
            found += stream.receive_data(rest[:cut])
            rest = rest[cut:]
        assert found == EVENTS


def test_a_line_without_an_end_is_not_held_for_ever() -> None:
    stream = SseDecoder(max_line_bytes=100)
    for _ in range(10):
        assert list(stream.receive_data(b"data: xxxx")) == []
    with pytest.raises(UnexpectedAnswer):
        list(stream.receive_data(b"data: xxxx"))
