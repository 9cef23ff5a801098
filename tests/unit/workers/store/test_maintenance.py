"""Which documents have expired, and which changes the feed keeps."""

from __future__ import annotations

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import EXPIRY, SEQUENCE, number
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import expiry_key
from tests.support.memory_kv import MemoryKeyValue, commit
from workers.store.maintenance import FEED_CHANGES, due_expiries, first_kept
from workers.store.write.work import Expire

KEY = document_key("c", "one")


def replica_with(expires_at: float | None) -> Replica:
    replica = Replica(MemoryKeyValue(), 1)
    target = {"a": 1}
    update = root_maps.change(
        root_maps.NO_ROOT_MAPS, plan(Shape(), target), 1, 0, expires_at=expires_at
    )
    replica.write(KEY, update, dump(target))
    commit(replica)
    return replica


def test_a_document_is_due_when_the_wall_clock_has_passed_its_expiry() -> None:
    replica = replica_with(1000.0)
    assert due_expiries(replica, 1000.0) == []
    assert due_expiries(replica, 1000.5) == [Expire(KEY, 1000.0)]
    assert due_expiries(replica, -5.0) == []


def test_an_index_entry_that_is_not_that_of_the_document_ends_nothing() -> None:
    for expires_at in (None, 5000.0):
        replica = replica_with(expires_at)
        wrong = expiry_key(KEY, 1000.0)
        replica.put(wrong, b"")
        commit(replica)
        assert due_expiries(replica, 2000.0) == []
        commit(replica)
        rest = list(replica.kv.scan(EXPIRY, EXPIRY + b"\xff"))
        assert [entry for entry, _ in rest] == ([expiry_key(KEY, 5000.0)] if expires_at else [])


def test_the_feed_keeps_what_followers_and_the_next_start_need() -> None:
    kv = MemoryKeyValue()
    kv.entries[SEQUENCE] = number(10 * FEED_CHANGES)
    replica = Replica(kv, 1)
    assert first_kept(replica) == 9 * FEED_CHANGES + 1
    replica.checkpointed(10 * FEED_CHANGES - 5)
    assert first_kept(replica) == 9 * FEED_CHANGES + 1
    replica.checkpointed(2 * FEED_CHANGES)
    assert first_kept(replica) == 2 * FEED_CHANGES + 1
