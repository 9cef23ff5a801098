"""The bytes of every message between nodes, and of some frames between processes, are the golden ones.

A node of yesterday reads what a node of today writes: a line of `peer_bytes.golden` may be added, and none may change.
"""

from pathlib import Path

from peatnode.codec.frames import frame
from peatnode.ipc.frames import encode_frame
from peatnode.ipc.messages import (
    ApplyUpdates,
    Failed,
    Failure,
    Ping,
    ReadVectors,
    WriteDocument,
    WriteKind,
)
from peatnode.model.documents import BucketEntry, DocumentUpdate, Wanted
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates

GOLDEN = Path(__file__).with_name("peer_bytes.golden")

PEER_MESSAGES: list[wire.Message] = [
    wire.PeerHello(1, "node-ä", bytes(range(16)), bytes(range(32)), 3),
    wire.Proof(
        bytes(range(32)), bytes(range(64)), bytes(range(32)), bytes(range(64)), 2**50, "peatnode/1"
    ),
    wire.Root(bytes(range(16)), True, 1_800_000_000_123, 70_000, True),
    wire.Push(300, b"\0\x90"),
    wire.Ack(70_000, False),
    wire.AskTree(1, 2, (0, 15, 255)),
    wire.Tree(1, bytes(range(32))),
    wire.AskBuckets(2, (1, 65_535)),
    wire.Buckets(
        2, (BucketEntry("c", "i", 1, False, bytes(range(16))), BucketEntry("c", "j", 2, True, b""))
    ),
    wire.AskUpdates(3, (Wanted("c", "i", 1, b"vector"), Wanted("c", "j", 0, b""))),
    wire.AskRange(4, 0, 65_535, b"place"),
    wire.Updates(4, 1, b"place", b"\0\x90"),
    wire.Neighbours(False, (("n", bytes(range(16))), ("m", bytes(16))), (bytes(range(1, 17)),)),
    wire.Awareness(bytes(range(16)), "c", "i", b"payload", bytes(16)),
    wire.Unanswered(7),
    wire.Departed((("n", bytes(range(16)), 1_800_000_000_123),)),
]

LINK_MESSAGES = [
    Ping(7),
    Failed(Failure.STORAGE, "The disk is full.", "/data"),
    WriteDocument("notes", "tüday", WriteKind.PUT, b'{"a":1}', (b"*",)),
    ApplyUpdates((DocumentUpdate("c", "i", 3, False, 1.5, b"\x00\x00"),), "abc"),
    ReadVectors((("c", "i"), ("c", "j"))),
]

BATCH = (
    DocumentUpdate("c", "i", 3, False, 1.5, b"\0\0"),
    DocumentUpdate("c", "j", 1, True, 0.0, b""),
)


def lines() -> list[str]:
    return [
        *[f"peer {message.TYPE} {frame(wire.encode(message)).hex()}" for message in PEER_MESSAGES],
        f"peer batch {pack_updates(BATCH).hex()}",
        *[f"link {message.TAG} {encode_frame(message, 42).hex()}" for message in LINK_MESSAGES],
    ]


def test_every_peer_message_is_pinned() -> None:
    assert sorted(message.TYPE for message in PEER_MESSAGES) == list(range(16))


def test_the_bytes_are_the_golden_ones() -> None:
    assert lines() == GOLDEN.read_text().splitlines()
