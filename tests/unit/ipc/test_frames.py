import random
from typing import Any

import msgpack
import pytest

from peatnode.errors import MalformedFrame
from peatnode.ipc.frames import MAX_FRAME_BYTES, decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import (
    Address,
    ApplyUpdates,
    DiscoveredPeer,
    DocumentUpdate,
    Failed,
    Failure,
    PeerFound,
    Ping,
    ReadVectors,
    WriteDocument,
    WriteKind,
)

MESSAGES = [
    Ping(7),
    Failed(Failure.STORAGE, "The disk is full.", "/data"),
    WriteDocument("notes", "tüday", WriteKind.PUT, b'{"a":1}', (b"*",)),
    ApplyUpdates((DocumentUpdate("c", "i", 3, False, 0.0, b"\x00\x00"),) * 3, "abc"),
    ReadVectors((("c", "i"), ("c", "j"))),
    PeerFound(
        DiscoveredPeer("n", "n", "", (Address("::1", 1),), ("mdns",), True, False, (("k", "v"),))
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.TAG)
def test_what_is_written_is_read(message: Any) -> None:
    frame = encode_frame(message, 42)
    (content,) = link_buffer().receive_data(frame)
    assert decode_content(content) == (42, message)


def test_frames_come_in_any_pieces() -> None:
    stream = b"".join(encode_frame(message, number) for number, message in enumerate(MESSAGES))
    for size in (1, 3, 7, 100, len(stream)):
        frames = link_buffer()
        read = [
            decode_content(content)
            for start in range(0, len(stream), size)
            for content in frames.receive_data(stream[start : start + size])
        ]
        assert read == list(enumerate(MESSAGES))


def test_a_length_over_the_limit_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(MalformedFrame, match="over the limit"):
        list(link_buffer().receive_data((MAX_FRAME_BYTES + 1).to_bytes(4, "big")))


@pytest.mark.parametrize(
    "wire",
    [
        5,
        [],
        ["ping"],
        ["nothing", 0],
        ["ping", 0],
        ["ping", 0, "7"],
        ["ping", 0, True],
        ["ping", 0, 7, 8],
        ["failed", 0, "no such code", "", ""],
        ["read_vectors", 1, [["c"]]],
        ["read_vectors", 1, "c"],
    ],
)
def test_wrong_content_is_refused(wire: Any) -> None:
    with pytest.raises(MalformedFrame):
        decode_content(msgpack.packb(wire))


def test_mutated_frames_are_read_or_refused_and_nothing_else(rng: random.Random) -> None:
    contents = [encode_frame(message, 1)[4:] for message in MESSAGES]
    for _ in range(20_000):
        content = bytearray(rng.choice(contents))
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            decode_content(bytes(content))
        except MalformedFrame:
            continue
