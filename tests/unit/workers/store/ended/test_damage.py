"""Deleted content where the disk is damaged: found, repaired, and never in the way of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS, change
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.ended.entries import decode_state, encode_state, state_key
from peatnode.documents.replica.keyspace import (
    ENDED,
    ENDED_STATE,
    RECORD,
    SNAPSHOT,
    TOMBSTONE,
    after,
)
from peatnode.documents.replica.replica import Replica
from peatnode.errors import EntriesDiffer
from peatnode.ipc.messages import ReadDeleted, UndeleteDocument
from tests.unit.workers.store.test_scrub import run
from workers.store.disk.database import Database
from workers.store.disk.repair import copy_readable, reconcile
from workers.store.ended.listing import EndedListing
from workers.store.ended.reading import EndedReading
from workers.store.ended.undeletions import Undeletions
from workers.store.engine.client import EngineClient
from workers.store.engine.refusal import RequestRefused
from workers.store.scrub import ScrubPass

KEYS = [document_key("c", name) for name in ("large", "small")]
LARGE, SMALL = KEYS


def opened(database: Database) -> tuple[Replica, EndedContents]:
    replica = Replica(database, 7)
    return replica, EndedContents(replica, EndedBounds(100.0, 1 << 20), lambda: 0.0, lambda: 0.0)


def commit(replica: Replica) -> None:
    batch = replica.take_batch()
    assert isinstance(replica.kv, Database)
    replica.kv.write(batch.writes())
    replica.committed(batch)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """Two deleted documents."""
    database = Database(tmp_path / "store")
    replica, _ = opened(database)
    for key, text in ((LARGE, "x" * 20_000), (SMALL, "short")):
        update = change(NO_ROOT_MAPS, plan(Shape(), {"text": text}), 7, 0)
        replica.write(key, update, dump({"text": text}))
    commit(replica)
    for key in KEYS:
        replica.delete(key)
    commit(replica)
    assert database.get(SNAPSHOT + LARGE) is not None
    return database


def kept(database: Database) -> dict[bytes, bool]:
    """Each document of which something is kept, and whether it can be read."""
    _, ended = opened(database)
    return {head.key: bool(ended.parts(head)) for head in ended.listed("c")}


def test_a_scrub_reads_what_a_tombstone_keeps(database: Database) -> None:
    run(ScrubPass(Replica(database, 7)))
    database.write([(SNAPSHOT + LARGE, b"")])
    with pytest.raises(EntriesDiffer, match="c/large"):
        run(ScrubPass(Replica(database, 7)))


def test_a_repair_keeps_deleted_content(database: Database, tmp_path: Path) -> None:
    into = Database(tmp_path / "into")
    copy_readable(database, into, keep_existing=False)
    reconcile(into)
    assert kept(into) == dict.fromkeys(KEYS, True)
    run(ScrubPass(Replica(into, 7)))


def test_a_repair_gives_up_a_snapshot_that_is_lost_and_nothing_else(database: Database) -> None:
    root = Replica(database, 7).tree.root
    database.write([(SNAPSHOT + LARGE, None)])
    reconcile(database)
    replica, ended = opened(database)
    assert replica.tree.root == root
    run(ScrubPass(replica))
    assert kept(database) == {LARGE: False, SMALL: True}
    (head,) = (head for head in ended.listed("c") if head.key == LARGE)
    ended.remove(LARGE, head.sequence)
    commit(replica)
    assert kept(database) == {SMALL: True}
    assert database.get(TOMBSTONE + LARGE) is not None
    assert database.get(RECORD + LARGE) is None


@pytest.mark.parametrize("kind", [ENDED, ENDED_STATE])
@pytest.mark.parametrize(
    "loss", [None, b"", b"\x90", b"\x93\x01", b"\x96" + b"\xa1x" * 6, b"\x96" + b"\x01" * 6]
)
def test_an_entry_that_is_lost_or_no_entry_harms_no_other(
    database: Database, kind: bytes, loss: bytes | None
) -> None:
    entry = next(entry for entry, _ in database.scan(kind, after(kind)) if SMALL in entry)
    database.write([(entry, loss)])
    replica, ended = opened(database)
    assert ended.find(LARGE) is not None
    assert kept(database).get(SMALL, False) is False
    assert ended.due() == () or kind == ENDED_STATE
    reconcile(database)
    assert kept(database).get(LARGE) is True
    replica, ended = opened(database)
    for key, sequence in ended.due():
        ended.remove(key, sequence)
    commit(replica)
    assert kept(database) == {LARGE: True}
    left = [e for kind in (ENDED, ENDED_STATE) for e, _ in database.scan(kind, after(kind))]
    assert len(left) == 2
    reconcile(database)
    _, again = opened(database)
    assert (again.count, again.bytes) == (1, sum(head.size for head in again.listed("c")))


async def test_content_that_is_damaged_is_said_and_not_undeleted(database: Database) -> None:
    replica, ended = opened(database)
    head = ended.find(SMALL)
    assert head is not None
    entry = state_key(SMALL, head.sequence)
    state = decode_state(database.get(entry))
    assert state is not None
    database.write([(entry, encode_state(state._replace(snapshot=b"\xff", value=None)))])
    undeletions = Undeletions(replica, ended, lambda: 0.0)
    with pytest.raises(RequestRefused, match="is damaged"):
        await undeletions.undelete(UndeleteDocument("c", "small"))
    listing = EndedListing(database, ended, lambda: 0.0)
    reading = EndedReading(ended, listing, EngineClient(Path("no.sock"), replica))
    with pytest.raises(RequestRefused, match="is damaged"):
        await reading.read(ReadDeleted("c", "small"))
    assert replica.open_batch.is_empty


def test_a_scrub_reads_all_that_is_kept(database: Database) -> None:
    before = ScrubPass(Replica(database, 7))
    run(before)
    for kind in (ENDED, ENDED_STATE):
        database.delete_range(kind, after(kind))
    without = ScrubPass(Replica(database, 7))
    run(without)
    assert before.entries - without.entries == 2 * len(KEYS)
