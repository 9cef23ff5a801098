"""The frames on a link between processes: the content is a msgpack array `[tag, cause, field, …]`."""

from __future__ import annotations

from peatnode.codec.frames import FrameBuffer, frame
from peatnode.codec.records import STRICT, make_packer, record_reader, unpack
from peatnode.errors import MalformedFrame
from peatnode.ipc import messages
from peatnode.ipc.messages import Message
from peatnode.ipc.schema import message_classes

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""The longest content of a frame. The largest batch of documents between two workers fits with room
to spare."""

_pack = make_packer(
    cls
    for cls in vars(messages).values()
    if isinstance(cls, type) and hasattr(cls, "__dataclass_fields__")
)
_READERS = {tag: record_reader(cls, STRICT) for tag, cls in message_classes().items()}


def link_buffer() -> FrameBuffer:
    """A buffer for the frames of one link."""
    return FrameBuffer(MAX_FRAME_BYTES)


def encode_frame(message: Message, cause: int) -> bytes:
    """The complete frame, length included. Raises ValueError if the message exceeds MAX_FRAME_BYTES."""
    content = _pack((message.TAG, cause), message)
    if len(content) > MAX_FRAME_BYTES:
        raise ValueError(f"a {message.TAG} of {len(content)} bytes is too long for a frame")
    return frame(content)


def decode_content(content: bytes) -> tuple[int, Message]:
    """Decodes the content of a frame to (cause, message). Raises MalformedFrame."""
    wire = unpack(content, STRICT)
    if (
        type(wire) is not tuple
        or len(wire) < 2
        or type(wire[0]) is not str
        or type(wire[1]) is not int
    ):
        raise MalformedFrame("not an array of tag, cause and fields")
    reader = _READERS.get(wire[0])
    if reader is None:
        raise MalformedFrame(f"no message is tagged {wire[0][:40]!r}")
    return wire[1], reader(wire[2:])
