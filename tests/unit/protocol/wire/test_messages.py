"""The wire's messages and frames: tolerant to what is newer, strict to what is wrong."""

from __future__ import annotations

import tracemalloc
import typing

import msgpack
import pytest
import zstandard

from peatnode.codec.frames import frame
from peatnode.documents.limits import MAX_COLLECTION_CHARACTERS, MAX_ID_BYTES
from peatnode.model import peer_limits as limits
from peatnode.model.documents import BucketEntry, DocumentUpdate, Wanted
from peatnode.model.peer_limits import MAX_BATCH_BYTES, MAX_BATCH_UPDATES
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


def packed_items(count: int, item: bytes) -> bytes:
    return b"\xdc" + count.to_bytes(2, "big") + item * count


ARRAYS = packed_items(60_000, b"\x91\xc0")


@pytest.mark.parametrize(
    ("head", "items", "most"),
    [
        (b"\x93\x03\x01", packed_items(40, ARRAYS), 30),
        (b"\x95\x0b\x01\x01\xc4\x00", packed_items(40, ARRAYS), 30),
        (b"\x93\x08\x01", packed_items(40, ARRAYS), 30),
        (b"\x93\x09\x01", packed_items(15, ARRAYS), 30),
    ],
    ids=["Push", "Updates", "Buckets", "AskUpdates"],
)
def test_many_small_items_in_a_long_message_are_not_decoded(
    head: bytes, items: bytes, most: int
) -> None:
    """An array of one takes 2 bytes on the wire, and 56 as an object."""
    content = head + items
    tracemalloc.start()
    try:
        with pytest.raises(PeerFault, match=r"more than \d+ arrays"):
            wire.decode(content)
        assert tracemalloc.get_traced_memory()[1] < most * 2**20
    finally:
        tracemalloc.stop()


def test_batches_hold_as_many_updates_as_any_node_sends_and_no_more() -> None:
    one = DocumentUpdate("c", "n", 1, False, 0.0, b"")
    assert len(unpack_updates(pack_updates((one,) * MAX_BATCH_UPDATES))) == MAX_BATCH_UPDATES
    with pytest.raises(PeerFault, match="8193 updates"):
        unpack_updates(pack_updates((one,) * (MAX_BATCH_UPDATES + 1)))


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\xc0",
        b"\x91",
        b"\x91\xc0",
        b"\x90\xc0",
        b"\x91" + packed_items(40, b"\xc0"),
        b"\x91\x96\xa1c\xa1n\x01\xc2\x00\x91\xc0",
        b"\x91\x97\xa1c\xa1n\x01\xc2\x00\xc4\x00\x91\xc0",
        b"\x91\x96\xa1c\xa1n\x01\xc2\x00\xc4",
        b"\xdd\xff\xff\xff\xff",
        b"\xc1",
        b"\x91\x96\x80\xa1n\x01\xc2\x00\xc4\x00",
    ],
)
def test_batches_that_nobody_packs_are_the_fault_of_the_peer(plain: bytes) -> None:
    for batch in (b"\0" + plain, b"\1" + zstandard.ZstdCompressor().compress(plain), plain):
        with pytest.raises(PeerFault, match="malformed"):
            unpack_updates(batch)


def test_fields_of_later_versions_are_dropped() -> None:
    plain = b"\x91\x9a\xa1c\xa1n\x01\xc2\x00\xc4\x00\xc4\x00\xc2\x05\xa1x"
    assert unpack_updates(b"\0" + plain) == (DocumentUpdate("c", "n", 1, False, 0.0, b""),)
