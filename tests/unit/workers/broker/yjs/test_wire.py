import pytest

from peatnode.errors import MalformedUpdate
from workers.broker.yjs.wire import (
    AwarenessMessage,
    QueryAwareness,
    SyncStep1,
    SyncUpdate,
    Unknown,
    decode,
    encode_awareness,
    encode_step_1,
    encode_step_2,
    encode_update,
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode_step_1(b"\x00"), SyncStep1(b"\x00")),
        (encode_step_2(b"\x00\x00"), SyncUpdate(b"\x00\x00")),
        (encode_update(b"x" * 300), SyncUpdate(b"x" * 300)),
        (encode_awareness(b"\x00"), AwarenessMessage(b"\x00")),
        (b"\x03", QueryAwareness()),
        (b"\x02\x00\x01a", Unknown()),
        (b"\x64anything", Unknown()),
    ],
)
def test_messages_are_read_as_y_protocols_writes_them(data: bytes, message: object) -> None:
    assert decode(data) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x00\x03\x00",
        b"\x00\x00\x05ab",
        b"\x00\x00\x01ab",
        b"\x01\x80",
        b"\x80" * 12,
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        decode(data)
