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
from peatnode.protocol.wire.errors import PeerFault

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
    number: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class AskBuckets(WireMessage):
    """Asks for the entries of some buckets."""

    TYPE = 7
    number: int
    indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Buckets(WireMessage):
    """The answer to AskBuckets."""

    TYPE = 8
    STREAM = Stream.BULK
    number: int
    entries: tuple[BucketEntry, ...]


@dataclass(frozen=True, slots=True)
class AskUpdates(WireMessage):
    """Asks for the missing parts of some documents."""

    TYPE = 9
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
    number: int
    answered: int
    next_tree_key: bytes
    batch: bytes


@dataclass(frozen=True, slots=True)
class Neighbours(WireMessage):
    """The nodes to which the sender is connected."""

    TYPE = 12
    peers: tuple[tuple[str, bytes], ...]
    """(node id, instance)"""


@dataclass(frozen=True, slots=True)
class Awareness(WireMessage):
    """Awareness of a document that is open at some node.
    `key` identifies it, so that it is passed on once."""

    TYPE = 13
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
    """The message in the content of a frame; None if its type is unknown. Raises PeerFault."""
    try:
        wire = unpack(content, TOLERANT)
        if type(wire) is not tuple or not wire or type(wire[0]) is not int:
            raise MalformedFrame("not an array that begins with a type")
        read = _READERS.get(wire[0])
        if read is None:
            return None
        message: Message = read(wire[1:])
    except MalformedFrame as error:
        raise PeerFault("malformed message", str(error)) from error
    return message


_MESSAGES: tuple[type[Any], ...] = typing.get_args(Message)
_READERS = {cls.TYPE: record_reader(cls, TOLERANT) for cls in _MESSAGES}
_pack = make_packer((*_MESSAGES, BucketEntry, Wanted))
