"""The messages of the wire between nodes, and their encoding.

A message is a msgpack array `[type, field, …]`. Tolerant where it can be: an unknown type is nothing, fields beyond the
known are dropped, missing trailing ones take their defaults. Whatever else is wrong raises PeerFault.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import msgpack

from peatnode.model.documents import BucketEntry, Wanted
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.frames import MAX_FRAME_BYTES

VERSION = 1

MAX_ELEMENTS = 65_536
"""Of any array in a message."""


class Stream(Enum):
    """Which of a connection's two streams a message travels on."""

    LIVE = "live"
    BULK = "bulk"


class WireMessage:
    __slots__ = ()
    TYPE: ClassVar[int]
    STREAM: ClassVar[Stream] = Stream.LIVE


@dataclass(frozen=True, slots=True)
class Hello(WireMessage):
    TYPE = 0
    version: int
    node_id: str
    instance: bytes
    nonce: bytes
    started: int
    """When the sync process began, in microseconds: tells which of one instance's processes is the later."""
    attempt: int
    """Counts the dials of the sender."""
    software: str = ""


@dataclass(frozen=True, slots=True)
class Proof(WireMessage):
    TYPE = 1
    mac: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Root(WireMessage):
    TYPE = 2
    root: bytes
    is_answer: bool


@dataclass(frozen=True, slots=True)
class Push(WireMessage):
    TYPE = 3
    number: int
    batch: bytes


@dataclass(frozen=True, slots=True)
class Ack(WireMessage):
    TYPE = 4
    number: int
    is_complete: bool
    """All of the push is known to the sender now; false: some was refused or lacks what is before it."""


@dataclass(frozen=True, slots=True)
class AskTree(WireMessage):
    TYPE = 5
    number: int
    level: int
    indexes: tuple[int, ...]
    """Nodes of `level`; answered by the hashes of their children."""


@dataclass(frozen=True, slots=True)
class Tree(WireMessage):
    TYPE = 6
    STREAM = Stream.BULK
    number: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class AskBuckets(WireMessage):
    TYPE = 7
    number: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Buckets(WireMessage):
    TYPE = 8
    STREAM = Stream.BULK
    number: int
    entries: tuple[BucketEntry, ...]


@dataclass(frozen=True, slots=True)
class AskUpdates(WireMessage):
    TYPE = 9
    number: int
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class AskRange(WireMessage):
    TYPE = 10
    number: int
    first: int
    last: int
    place: bytes


@dataclass(frozen=True, slots=True)
class Updates(WireMessage):
    TYPE = 11
    STREAM = Stream.BULK
    number: int
    answered: int
    next_place: bytes
    batch: bytes


@dataclass(frozen=True, slots=True)
class Neighbours(WireMessage):
    TYPE = 12
    peers: tuple[tuple[str, bytes], ...]
    """(node id, instance)"""


@dataclass(frozen=True, slots=True)
class Awareness(WireMessage):
    TYPE = 13
    key: bytes
    collection: str
    id: str
    payload: bytes
    origin: bytes


@dataclass(frozen=True, slots=True)
class Unanswered(WireMessage):
    """The question could not be answered now; its asker tries again in a later round."""

    TYPE = 14
    number: int


Reply = Tree | Buckets | Updates | Unanswered
Message = (
    Hello | Proof | Root | Push | Ack | AskTree | Tree | AskBuckets | Buckets | AskUpdates
    | AskRange | Updates | Neighbours | Awareness | Unanswered
)  # fmt: skip


def encode(message: Message) -> bytes:
    """The content of the message's frame."""
    get_fields = _GETTERS[type(message)]
    encoded: bytes = msgpack.packb((message.TYPE, *get_fields(message)), default=_record_fields)
    return encoded


def decode(content: bytes) -> Message | None:
    """The message of a frame, None for a type unknown to us. Raises PeerFault."""
    wire = unpack(content, MAX_FRAME_BYTES)
    if type(wire) is not tuple or not wire or type(wire[0]) is not int:
        raise PeerFault("malformed message", "not an array that begins with a type")
    read = _READERS.get(wire[0])
    if read is None:
        return None
    message: Message = read(wire[1:])
    return message


def unpack(content: bytes, max_bytes: int) -> Any:
    """msgpack without maps and extensions, within bounds. Raises PeerFault."""
    try:
        return msgpack.unpackb(
            content,
            use_list=False,
            raw=False,
            max_array_len=MAX_ELEMENTS,
            max_map_len=0,
            max_ext_len=0,
            max_bin_len=max_bytes,
            max_str_len=64 * 1024,
        )
    except (ValueError, RecursionError, msgpack.exceptions.UnpackException) as error:
        raise PeerFault("malformed message", f"not msgpack: {error}") from error


_Read = Callable[[Any], Any]


def _reader(hint: Any) -> _Read:
    if hint is float:
        return _read_float
    if hint is int:
        return _read_count
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return record_reader(hint)
    if typing.get_origin(hint) is tuple:
        arguments = typing.get_args(hint)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return _many_reader(_reader(arguments[0]))
        return _tuple_reader([_reader(argument) for argument in arguments])
    assert hint in (str, bytes, bool), hint
    return _exact_reader(hint)


def _exact_reader(kind: type) -> _Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise PeerFault("malformed message", f"a {type(value).__name__} for {kind.__name__}")
        return value

    return read


def _read_count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise PeerFault("malformed message", f"a {type(value).__name__} for a count")
    return value


def _read_float(value: Any) -> float:
    if type(value) not in (int, float):
        raise PeerFault("malformed message", f"a {type(value).__name__} for a number")
    return float(value)


def _many_reader(read_one: _Read) -> _Read:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple:
            raise PeerFault("malformed message", f"a {type(value).__name__} for an array")
        return tuple([read_one(element) for element in value])

    return read


def _tuple_reader(readers: list[_Read]) -> _Read:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not tuple or len(value) < len(readers):
            raise PeerFault("malformed message", "too few fields")
        return tuple([one(element) for one, element in zip(readers, value, strict=False)])

    return read


def record_reader(cls: type[Any]) -> _Read:
    """Makes an instance of a dataclass from a tuple of wire values; raises PeerFault."""
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    readers = [_reader(hints[field.name]) for field in fields]
    needed = sum(field.default is dataclasses.MISSING for field in fields)

    def read(value: Any) -> Any:
        if type(value) is not tuple or len(value) < needed:
            raise PeerFault("malformed message", f"too few fields for {cls.__name__}")
        return cls(*[one(element) for one, element in zip(readers, value, strict=False)])

    return read


def fields_getter(cls: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """The fields of an instance as a tuple."""
    names = [field.name for field in dataclasses.fields(cls)]
    return lambda record: tuple([getattr(record, name) for name in names])


def _record_fields(record: Any) -> tuple[Any, ...]:
    return _GETTERS[type(record)](record)


_MESSAGES: tuple[type[Any], ...] = typing.get_args(Message)
_READERS: dict[int, _Read] = {cls.TYPE: record_reader(cls) for cls in _MESSAGES}
_GETTERS = {cls: fields_getter(cls) for cls in (*_MESSAGES, BucketEntry, Wanted)}
