"""The wire's messages and frames: tolerant to what is newer, strict to what is wrong."""

from __future__ import annotations

import typing

import msgpack
import pytest
import zstandard

from peatnode.codec.frames import frame
from peatnode.documents.limits import MAX_COLLECTION_CHARACTERS, MAX_ID_BYTES
from peatnode.model import peer_limits as limits
from peatnode.model.documents import BucketEntry, DocumentUpdate, Wanted
from peatnode.model.peer_limits import MAX_BATCH_BYTES
from peatnode.model.tree import FAN_OUT, HASH_BYTES
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import (
    pack_changes,
    pack_updates,
    unpack_updates,
)
from peatnode.protocol.wire.errors import MessageTooLarge, PeerFault
from peatnode.protocol.wire.frames import PeerFrames
from peatnode.texts import MAX_NAME_BYTES
from tests.support.feed_changes import change_of

MESSAGES = [
    wire.PeerHello(1, "node", bytes(16), bytes(32), 1),
    wire.Proof(b"m", b"s", b"k", b"i", 5, "x"),
    wire.Root(bytes(16), True),
    wire.Push(1, b"\0\x90"),
    wire.Ack(1, False),
    wire.AskTree(1, 0, (0,)),
    wire.Tree(1, bytes(256)),
    wire.AskBuckets(2, (1, 5)),
    wire.Buckets(2, (BucketEntry("c", "i", 1, False, bytes(16)),)),
    wire.AskUpdates(3, (Wanted("c", "i", 1, b"v"),)),
    wire.AskRange(4, 0, 65535, b""),
    wire.Updates(4, 1, b"p", b"\0\x90"),
    wire.Neighbours(False, (("n", bytes(16)),), (bytes(16),)),
    wire.Awareness(bytes(16), "c", "i", b"p", bytes(16)),
    wire.Unanswered(7),
    wire.Departed((("n", bytes(16), 1_700_000_000_000),)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_its_encoding(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message)) == message


def test_types_are_numbered_once() -> None:
    assert sorted(message.TYPE for message in MESSAGES) == list(range(16))


def test_a_newer_peer_may_say_more() -> None:
    assert wire.decode(msgpack.packb([99, "whatever"])) is None
    assert wire.decode(msgpack.packb([4, 1, True, "new", 5])) == wire.Ack(1, True)


def test_missing_trailing_fields_have_their_defaults() -> None:
    proof = wire.decode(msgpack.packb([1, b"m", b"s", b"k", b"i", 5]))
    assert isinstance(proof, wire.Proof)
    assert proof.software == ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        msgpack.packb({}),
        msgpack.packb([]),
        msgpack.packb(["4", 1, True]),
        msgpack.packb([4, 1]),
        msgpack.packb([4, -1, True]),
        msgpack.packb([4, 1.0, True]),
        msgpack.packb([4, 1, 1]),
        msgpack.packb([5, 1, 0, 3]),
        msgpack.packb([8, 1, [["c", "i", 1, False]]]),
        msgpack.packb([12, [["n"]]]),
        msgpack.packb([4, 1, True]) + b"\0",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 5000,
    ],
)
def test_what_is_malformed_is_the_peers_fault(content: bytes) -> None:
    with pytest.raises(PeerFault):
        wire.decode(content)


def test_frames_come_whole_however_they_are_cut() -> None:
    data = frame(b"one") + frame(b"") + frame(b"three")
    reader = PeerFrames(10)
    found = []
    for i in range(len(data)):
        found += reader.receive_data(data[i : i + 1])
    assert found == [b"one", b"", b"three"]


def test_a_length_over_the_limit_is_refused_before_its_content() -> None:
    reader = PeerFrames(10)
    with pytest.raises(PeerFault, match="frame too long"):
        reader.keep((11).to_bytes(4, "big"))


def test_batches_are_compressed_where_that_is_shorter() -> None:
    updates = tuple(
        [DocumentUpdate("notes", f"n{i}", 1, False, 0.0, b"abcdefgh" * 20) for i in range(50)]
    )
    packed = pack_updates(updates)
    assert packed[0] == 1
    assert len(packed) < 1500
    assert unpack_updates(packed) == updates
    assert pack_updates(updates[:0])[0] == 0


def test_changes_of_a_feed_are_packed_as_the_updates_that_they_are() -> None:
    updates = (
        DocumentUpdate("notes", "one", 3, False, 0.0, b"update"),
        DocumentUpdate("notes", "two", 1, True, 0.0, b""),
    )
    changes = [change_of(number, "peer", update) for number, update in enumerate(updates)]
    assert pack_changes(changes) == pack_updates(updates)


def test_a_batch_that_unpacks_too_large_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_BATCH_BYTES + 1))
    with pytest.raises(PeerFault):
        unpack_updates(b"\1" + bomb)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))
    with pytest.raises(PeerFault):
        unpack_updates(b"\1" + unsized)


@pytest.mark.parametrize(
    "batch",
    [b"", b"\2", b"\0", b"\0\x01", b"\1abc", b"\0\x91\x90", b"\0" + msgpack.packb([["c", "i", 1]])],
)
def test_malformed_batches_are_the_peers_fault(batch: bytes) -> None:
    with pytest.raises(PeerFault):
        unpack_updates(batch)


def largest_messages() -> list[wire.Message]:
    """Of each type with a small limit, the largest one that a node sends."""
    name, instance, most = "n" * MAX_NAME_BYTES, bytes([255]) * 16, 2**63
    neighbours = ((name, instance),) * limits.MAX_NEIGHBOURS
    return [
        wire.Root(instance, True, most, most, True),
        wire.Ack(most, True),
        wire.AskTree(most, 3, (4095,) * limits.MAX_INDEXES),
        wire.Tree(most, bytes(limits.MAX_INDEXES * FAN_OUT * HASH_BYTES)),
        wire.AskBuckets(most, (65_535,) * limits.MAX_INDEXES),
        wire.AskRange(most, 65_535, 65_535, bytes(16)),
        wire.Neighbours(False, neighbours, (instance,) * limits.MAX_NEIGHBOURS),
        wire.Awareness(
            instance,
            "c" * MAX_COLLECTION_CHARACTERS,
            "i" * MAX_ID_BYTES,
            bytes(limits.MAX_AWARENESS_BYTES),
            instance,
        ),
        wire.Unanswered(most),
        wire.Departed(((name, instance, most),) * limits.MAX_DEPARTURES),
    ]


@pytest.mark.parametrize("message", largest_messages(), ids=lambda one: type(one).__name__)
def test_the_largest_message_of_a_node_is_taken(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message)) == message


def test_each_type_has_a_limit_of_its_own() -> None:
    of_documents = {wire.Push, wire.Buckets, wire.AskUpdates, wire.Updates}
    at_start = {wire.PeerHello, wire.Proof}
    small = {type(message) for message in largest_messages()}
    assert small | of_documents | at_start == set(typing.get_args(wire.Message))
    for kind in small:
        assert kind.MAX_BYTES < 256 * 1024, kind


@pytest.mark.parametrize("kind", [wire.Root, wire.Neighbours, wire.Departed, wire.Awareness])
@pytest.mark.parametrize("fields", [14, 15, 16, 70_000])
def test_a_message_over_its_limit_is_dropped_before_it_is_decoded(
    kind: type[wire.WireMessage], fields: int
) -> None:
    """However long the array is in which its type stands. What follows the type would be malformed."""
    head = msgpack.packb([kind.TYPE, *[0] * fields])
    content = head + b"\xc1" * (kind.MAX_BYTES + 1 - len(head))
    with pytest.raises(MessageTooLarge, match="message too large"):
        wire.decode(content)
    with pytest.raises(PeerFault, match="malformed message"):
        wire.decode(content[: kind.MAX_BYTES])


@pytest.mark.parametrize(
    "head", ["", "90", "dc0002", "dd00000002", "92", "92a0", "92ff", "0c", "8c"]
)
def test_what_begins_with_no_type_is_malformed(head: str) -> None:
    with pytest.raises(PeerFault, match="malformed message"):
        wire.decode(bytes.fromhex(head))


@pytest.mark.parametrize("number", ["cc0c", "cd000c", "ce0000000c", "cf000000000000000c", "ccff"])
def test_a_type_in_more_bytes_than_it_needs_is_unknown(number: str) -> None:
    """Else a message could be decoded beyond the limit of its type."""
    assert wire.decode(bytes.fromhex("92" + number) + bytes(100)) is None
