"""When a checkpoint is written, replaced and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.checkpoint import (
    MAX_COLLECTIONS,
    Checkpoint,
    decode_checkpoint,
)
from peatnode.documents.replica.index.counts import Counts
from peatnode.documents.replica.keyspace import CHECKPOINT, FLUSHED, SEQUENCE, number
from peatnode.documents.replica.replica import Replica
from tests.support.memory_kv import put
from workers.store.checkpoints import MAX_CHANGES, QUIET_CHANGES, Checkpoints
from workers.store.disk.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store")
    yield database
    database.close()


def replica_at(database: Database, sequence: int) -> Replica:
    """A replica with so many changes, the last of which is in the feed."""
    database.write([(SEQUENCE, number(sequence - 1))])
    replica = Replica(database, 1)
    put(replica, document_key("c", "one"), {"a": 1})
    batch = replica.take_batch()
    database.write(batch.writes())
    replica.committed(batch)
    return replica


async def at_once(write: Callable[[], None]) -> None:
    write()


def kept(database: Database) -> Checkpoint | None:
    data = database.get(CHECKPOINT)
    return None if data is None else decode_checkpoint(data)


@pytest.mark.parametrize(
    ("changes", "is_quiet", "is_due"),
    [
        (MAX_CHANGES - 1, False, False),
        (MAX_CHANGES, False, True),
        (QUIET_CHANGES - 1, True, False),
        (QUIET_CHANGES, True, True),
    ],
)
async def test_it_is_written_after_many_changes(
    database: Database, changes: int, is_quiet: bool, is_due: bool
) -> None:
    replica = replica_at(database, changes)
    await Checkpoints(database, replica).write_if_due(at_once, is_quiet)
    found = kept(database)
    assert (found is not None) is is_due
    if found is not None:
        assert found == replica.checkpoint()
        assert replica.checkpoint_sequence == changes
        assert Replica(database, 1).checkpoint_sequence == changes


async def test_it_is_not_written_again_before_as_many_changes_have_passed(
    database: Database,
) -> None:
    replica = replica_at(database, MAX_CHANGES)
    checkpoints = Checkpoints(database, replica)
    await checkpoints.write_if_due(at_once)
    database.write([(CHECKPOINT, None)])
    await checkpoints.write_if_due(at_once, is_quiet=True)
    assert kept(database) is None


async def test_a_wrong_one_is_replaced_at_once(database: Database) -> None:
    replica_at(database, 7)
    database.write([(CHECKPOINT, b"wrong")])
    replica = Replica(database, 1)
    assert replica.checkpoint_fault
    checkpoints = Checkpoints(database, replica)
    await checkpoints.write_if_due(at_once)
    assert kept(database) == replica.checkpoint()
    assert not replica.checkpoint_fault
    assert not Replica(database, 1).checkpoint_fault


def test_a_stop_writes_one_of_all_changes_unless_there_is_one(database: Database) -> None:
    replica = replica_at(database, 7)
    checkpoints = Checkpoints(database, replica)
    assert checkpoints.write_at_stop() == 7
    assert kept(database) == replica.checkpoint()
    database.write([(CHECKPOINT, None)])
    assert checkpoints.write_at_stop() == 7
    assert kept(database) is None


def test_what_is_flushed_is_noted(database: Database) -> None:
    checkpoints = Checkpoints(database, replica_at(database, 7))
    for sequence in (6, 7, 7):
        checkpoints.flushed(sequence)
        assert database.get(FLUSHED) == number(sequence)


async def test_too_many_collections_delete_it_because_the_feed_does_not_wait_for_it(
    database: Database,
) -> None:
    replica = replica_at(database, MAX_CHANGES + 1)
    checkpoints = Checkpoints(database, replica)
    checkpoints.write_at_stop()
    replica.checkpointed(1)
    replica.counts = Counts({f"c{n}": 1 for n in range(MAX_COLLECTIONS + 1)})
    await checkpoints.write_if_due(at_once)
    assert kept(database) is None
    assert replica.checkpoint_sequence == 0
    checkpoints.write_at_stop()
    assert kept(database) is None
