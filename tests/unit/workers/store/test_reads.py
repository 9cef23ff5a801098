"""Replies to peers and followers end early when they take long, and what follows them is complete."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.state_vector import encode_state_vector
from peatnode.documents.yjs.structs import gc_struct
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.ipc.frames import encode_frame
from peatnode.ipc.messages import FollowChanges, ReadDifferences, ReadRange, ReadVectors, Wanted
from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.tree import BUCKETS
from tests.support.memory_kv import MemoryKeyValue, commit
from tests.support.store_files import put
from workers.store.feed_reader import FeedReader
from workers.store.reads import MAX_VECTORS_BYTES, Reads

NAMES = [f"d{number}" for number in range(20)]


@pytest.fixture
def replica() -> Replica:
    replica = Replica(MemoryKeyValue(), 7)
    for name in NAMES:
        put(replica, name, {"x": 1})
    commit(replica)
    return replica


def slow() -> Callable[[], float]:
    """A clock by which nearly every entry takes as long as a reply may take."""
    ticks = count()
    return lambda: next(ticks) * 0.04


def test_a_range_ends_early_and_is_continued(replica: Replica) -> None:
    reads = Reads(replica, slow())
    found: list[str] = []
    tree_key, replies = b"", 0
    while replies == 0 or tree_key:
        reply = reads.range(ReadRange(0, BUCKETS - 1, tree_key, 1_000_000))
        assert reply.updates
        found += [update.id for update in reply.updates]
        tree_key = reply.next_tree_key
        replies += 1
    assert sorted(found) == sorted(NAMES)
    assert replies > 5


def test_differences_end_early_even_if_there_are_none(replica: Replica) -> None:
    """To find that a peer lacks nothing takes as long as to find what it lacks."""
    reads = Reads(replica, slow())
    wanted = [Wanted("c", name, 1, vector_of(replica, name)) for name in NAMES]
    replies = 0
    while wanted:
        reply = reads.differences(ReadDifferences(tuple(wanted), 1_000_000))
        assert reply.updates == ()
        assert reply.answered
        wanted = wanted[reply.answered :]
        replies += 1
    assert replies > 5


def test_vectors_end_early(replica: Replica) -> None:
    reads = Reads(replica, slow())
    names = [("c", name) for name in NAMES]
    found: list[Wanted] = []
    while len(found) < len(NAMES):
        reply = reads.vectors(ReadVectors(tuple(names[len(found) :])))
        assert 0 < len(reply.wanted) <= 3
        found += reply.wanted
    assert [wanted.id for wanted in found] == NAMES


def test_vectors_that_are_too_large_for_one_reply_take_several() -> None:
    replica = Replica(MemoryKeyValue(), 7)
    structs = {2**52 + client: (gc_struct(0, 1),) for client in range(10_000)}
    update = encode_update(Update(structs, EMPTY_DELETE_SET))
    joined = replica.join(DocumentUpdate("c", "large", 1, False, 0.0, update), "peer")
    assert joined.outcome is Outcome.APPLIED
    commit(replica)
    request = ReadVectors((("c", "large"),) * 80)
    reply = Reads(replica, lambda: 0.0).vectors(request)
    size = len(reply.wanted[0].state_vector)
    assert sum(len(w.state_vector) for w in reply.wanted) + size > MAX_VECTORS_BYTES
    assert len(encode_frame(reply, 1)) < MAX_VECTORS_BYTES + 2 * size


def vector_of(replica: Replica, name: str) -> bytes:
    record = replica.record_on_disk(document_key("c", name))
    assert record is not None
    return encode_state_vector(record.state_vector)


def test_a_follower_that_reads_from_disk_receives_short_batches(replica: Replica) -> None:
    reader = FeedReader(replica, slow())
    cursor, batches, found = 0, 0, []
    while cursor < replica.sequence:
        changes, cursor = reader.read(cursor, FollowChanges(0, with_update=True))
        found += [change.id for change in changes]
        batches += 1
    assert found == NAMES
    assert batches > 5
