"""The messages between nodes, and their encoding.

A message is a msgpack array `[type, field, …]`. Newer peers are tolerated: an unknown type is ignored,
fields beyond the known ones are dropped, and missing trailing fields take their defaults. Any other
deviation raises PeerFault.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from peatnode.codec.records import TOLERANT, make_packer, record_reader, unpack
from peatnode.errors import MalformedFrame
from peatnode.model.documents import BucketEntry, Wanted
from peatnode.model.peer_limits import (
    ASK_UPDATES_BYTES,
    AWARENESS_MESSAGE_BYTES,
    BUCKETS_BYTES,
    DEPARTED_BYTES,
    MAX_ENTRIES,
    MAX_FRAME_BYTES,
    MAX_WANTED,
    NEIGHBOURS_BYTES,
    SMALL_MESSAGE_BYTES,
    TREE_BYTES,
)
from peatnode.protocol.wire.errors import MessageTooLarge, PeerFault

VERSION = 2
"""It is raised when a node of an earlier version could not understand a message, or compares other fingerprints."""

ALPN = f"cap/yjs/{VERSION}"
"""The ALPN of connections that carry these messages."""

EARLIER_ALPNS = {f"cap/yjs/{version}": version for version in range(1, VERSION)}
"""Those of earlier versions. They are negotiated only to be refused with a reason, which TLS could not give."""


class Stream(Enum):
    """The stream of a connection that carries a message."""

    LIVE = "live"
    BULK = "bulk"


class WireMessage:
    """A message between nodes. TYPE identifies its class."""

    __slots__ = ()
    TYPE: ClassVar[int]
    STREAM: ClassVar[Stream] = Stream.LIVE
    MAX_BYTES: ClassVar[int] = SMALL_MESSAGE_BYTES
    """Of the content of its frame: what no node needs more than is not decoded."""
    MAX_ARRAYS: ClassVar[int] = 0
    """Of a message that may be long: the arrays in its content, itself included. 0: MAX_BYTES bounds them."""


@dataclass(frozen=True, slots=True)
class PeerHello(WireMessage):
    """The first message of each side: who it says it is, and a nonce. A stranger reads it, so it tells nothing else."""

    TYPE = 0
    version: int
    node_id: str
    instance: bytes
    nonce: bytes
    attempt: int
    """Number of the dial, counted by the sender."""


@dataclass(frozen=True, slots=True)
class Proof(WireMessage):
    """The proof of membership, told only to who is on the way to prove the same. Three things cover all that is said:
    a MAC with the formation key, and signatures with the endpoint key of the node and with the key of its instance."""

    TYPE = 1
    mac: bytes
    signature: bytes
    """By the endpoint key."""
    instance_key: bytes
    """The public key of which the instance is the hash."""
    instance_signature: bytes
    started: int
    """Start of the sync process in microseconds;
    it tells a restarted process of one instance from its predecessor."""
    software: str = ""


@dataclass(frozen=True, slots=True)
class Root(WireMessage):
    """The root of the sender's hash tree. The receiver answers with its own, unless this is an answer."""

    TYPE = 2
    root: bytes
    is_answer: bool
    clock: int = 0
    """The wall clock of the sender when it sent this, in Unix milliseconds; 0: unknown."""
    documents: int = 0
    """The number of documents under this root."""
    is_counted: bool = False
    """Whether `documents` is known."""


@dataclass(frozen=True, slots=True)
class Push(WireMessage):
    """Changes of the feed, as a batch. `number` counts the pushes on this connection."""

    TYPE = 3
    MAX_BYTES = MAX_FRAME_BYTES
    MAX_ARRAYS = 1
    number: int
    batch: bytes


@dataclass(frozen=True, slots=True)
class Ack(WireMessage):
    """The answer to a Push, sent after its changes are on disk."""

    TYPE = 4
    number: int
    is_complete: bool
    """Whether the sender has all changes of the push on disk.
    False: some were refused, or depend on missing ones."""


@dataclass(frozen=True, slots=True)
class AskTree(WireMessage):
    """Asks for the hashes below some nodes of the hash tree."""

    TYPE = 5
    number: int
    level: int
    indexes: tuple[int, ...]
    """Nodes of `level`; the answer contains the hashes of their children."""


@dataclass(frozen=True, slots=True)
class Tree(WireMessage):
    """The answer to AskTree: the hashes of all children, joined in the order of the question."""

    TYPE = 6
    STREAM = Stream.BULK
    MAX_BYTES = TREE_BYTES
    number: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class AskBuckets(WireMessage):
    """Asks for the entries of some buckets, from `tree_key` on."""

    TYPE = 7
    number: int
    indexes: tuple[int, ...]
    tree_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Buckets(WireMessage):
    """The answer to AskBuckets, at most MAX_ENTRIES."""

    TYPE = 8
    STREAM = Stream.BULK
    MAX_BYTES = BUCKETS_BYTES
    MAX_ARRAYS = 2 + MAX_ENTRIES
    number: int
    entries: tuple[BucketEntry, ...]
    """In the order of their tree keys."""
    next_tree_key: bytes = b""
    """The `tree_key` of the next question; empty: complete."""


@dataclass(frozen=True, slots=True)
class AskUpdates(WireMessage):
    """Asks for the missing parts of some documents."""

    TYPE = 9
    MAX_BYTES = ASK_UPDATES_BYTES
    MAX_ARRAYS = 2 + MAX_WANTED
    number: int
    wanted: tuple[Wanted, ...]


@dataclass(frozen=True, slots=True)
class AskRange(WireMessage):
    """Asks for all documents of the buckets `first` to `last`, from `tree_key` on."""

    TYPE = 10
    number: int
    first: int
    last: int
    tree_key: bytes


@dataclass(frozen=True, slots=True)
class Updates(WireMessage):
    """The answer to AskUpdates and AskRange. `answered` and `next_tree_key` are those of UpdatesReply."""

    TYPE = 11
    STREAM = Stream.BULK
    MAX_BYTES = MAX_FRAME_BYTES
    MAX_ARRAYS = 1
    number: int
    answered: int
    next_tree_key: bytes
    batch: bytes


@dataclass(frozen=True, slots=True)
class Neighbours(WireMessage):
    """The nodes to which the sender is connected: all of them, or the difference to what it has told before."""

    TYPE = 12
    MAX_BYTES = NEIGHBOURS_BYTES
    is_whole: bool
    """Whether what was told before on this connection counts no more."""
    added: tuple[tuple[str, bytes], ...]
    """(node id, instance)"""
    removed: tuple[bytes, ...]
    """Instances."""


@dataclass(frozen=True, slots=True)
class Awareness(WireMessage):
    """Awareness of a document that is open at some node.
    `key` identifies it, so that it is passed on once."""

    TYPE = 13
    MAX_BYTES = AWARENESS_MESSAGE_BYTES
    key: bytes
    collection: str
    id: str
    payload: bytes
    origin: bytes


@dataclass(frozen=True, slots=True)
class Unanswered(WireMessage):
    """The question cannot be answered now; the peer may repeat it in a later round."""

    TYPE = 14
    number: int


@dataclass(frozen=True, slots=True)
class Departed(WireMessage):
    """Nodes that have left the mesh for good, as far as the sender knows."""

    TYPE = 15
    MAX_BYTES = DEPARTED_BYTES
    departed: tuple[tuple[str, bytes, int], ...]
    """(node id, its last known instance, when it left in Unix milliseconds)"""


Message = (
    PeerHello | Proof | Root | Push | Ack | AskTree | Tree | AskBuckets | Buckets | AskUpdates
    | AskRange | Updates | Neighbours | Awareness | Unanswered | Departed
)  # fmt: skip


def encode(message: Message) -> bytes:
    """The content of the frame of a message."""
    return _pack((message.TYPE,), message)


def hello_for_earlier(content: bytes) -> bytes:
    """An encoded PeerHello with one field more, so that a node of version 1 refuses its version, not its form."""
    return bytes([content[0] + 1]) + content[1:] + b"\0"  # the first byte has the number of fields


def decode(content: bytes) -> Message | None:
    """The message in the content of a frame; None if its type is unknown. Raises MessageTooLarge, or PeerFault."""
    kind = _KINDS.get(_type_of(content))
    if kind is None:
        return None
    if len(content) > kind.MAX_BYTES:
        raise MessageTooLarge(f"{len(content)} bytes, {kind.MAX_BYTES} allowed")
    try:
        wire = unpack(content, TOLERANT, kind.MAX_ARRAYS)
        if type(wire) is not tuple:
            raise MalformedFrame("not an array that begins with a type")
        message: Message = _READERS[kind](wire[1:])
    except MalformedFrame as error:
        raise PeerFault("malformed message", str(error)) from error
    return message


def _type_of(content: bytes) -> int:
    """The type of a message, which is read before anything is decoded. Raises PeerFault.

    Known types are below 128, and msgpack packs such a number as one byte; -1: it is none of them.
    """
    head = content[0] if content else 0
    at = 1 if head & 0xF0 == _SHORT_ARRAY else _ARRAY_HEADERS.get(head, 0)
    if not 0 < at < len(content) or 0x80 <= content[at] not in _LONGER_NUMBERS:
        raise PeerFault("malformed message", "not an array that begins with a type")
    return content[at] if content[at] < 0x80 else -1


_SHORT_ARRAY = 0x90
_ARRAY_HEADERS = {0xDC: 3, 0xDD: 5}
"""Bytes of the header of an array of 16 or more elements, by its first byte (msgpack specification)."""
_LONGER_NUMBERS = range(0xCC, 0xD0)
"""First bytes of unsigned numbers that do not fit in 7 bits."""

_MESSAGES: tuple[type[Any], ...] = typing.get_args(Message)
_KINDS = {cls.TYPE: cls for cls in _MESSAGES}
_READERS = {cls: record_reader(cls, TOLERANT) for cls in _MESSAGES}
_pack = make_packer((*_MESSAGES, BucketEntry, Wanted))
