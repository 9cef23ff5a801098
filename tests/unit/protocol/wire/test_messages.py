"""The wire's messages and frames: tolerant to what is newer, strict to what is wrong."""

from __future__ import annotations

import msgpack
import pytest
import zstandard

from peatnode.codec.frames import frame
from peatnode.model.documents import BucketEntry, DocumentUpdate, Wanted
from peatnode.model.peer_limits import MAX_BATCH_BYTES
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import (
    pack_changes,
    pack_updates,
    unpack_updates,
)
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.frames import PeerFrames
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
    wire.Neighbours((("n", bytes(16)),)),
    wire.Awareness(bytes(16), "c", "i", b"p", bytes(16)),
    wire.Unanswered(7),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_survives_its_encoding(message: wire.Message) -> None:
    assert wire.decode(wire.encode(message)) == message


def test_types_are_numbered_once() -> None:
    assert sorted(message.TYPE for message in MESSAGES) == list(range(15))


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
