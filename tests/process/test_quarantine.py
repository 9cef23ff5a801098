"""Changes that leap, in a real store, and the commands of an operator."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pycrdt
import pytest

from peatnode.documents.limits import MAX_INCARNATION
from peatnode.errors import AskFailed
from peatnode.ipc.messages import (
    AcceptQuarantined,
    ApplyUpdates,
    DocumentUpdate,
    DropQuarantined,
    Failure,
    GetDocument,
    GetMetrics,
    ListQuarantine,
    Outcome,
    QuarantineReason,
    ReadTree,
    WriteKind,
)
from tests.support.store_node import StoreNode
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

LAST = MAX_INCARNATION - 1


async def send(node: StoreNode, *updates: DocumentUpdate) -> list[Outcome]:
    return list((await node.ask(ApplyUpdates(updates, "ab" * 16))).outcomes)


def end(document: str, incarnation: int) -> DocumentUpdate:
    return DocumentUpdate("c", document, incarnation, True, 0.0, b"")


async def metric(node: StoreNode, name: str) -> float:
    found = (await node.ask(GetMetrics())).metrics
    return next(one.value for one in found if one.name == name)


async def refused(node: StoreNode, message: object) -> AskFailed:
    with pytest.raises(AskFailed) as caught:
        await node.ask(message)
    return caught.value


async def test_a_leap_is_kept_reported_and_dropped(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        await node.put("c", "one", b'{"a":1}')
        root = await node.ask(ReadTree(0, (0,)))
        outcomes = await send(node, end("one", LAST), end("two", LAST), end("three", 4))
        assert outcomes == [Outcome.REFUSED, Outcome.REFUSED, Outcome.APPLIED]
        await until(lambda: "quarantine" in node.store.problems)
        assert "c/two, c/one" in node.store.problems["quarantine"].message
        assert await metric(node, "peatnode_store_leaps_kept") == 2
        assert json.loads((await node.ask(GetDocument("c", "one"))).value) == {"a": 1}
        await send(node, end("three", 4))
        node.store.kill()
        await node.store.wait_ready()
        await until(lambda: "quarantine" in node.store.problems)
        two, one = (await node.ask(ListQuarantine())).entries
        assert (one.document, one.here, one.incarnation, one.peer) == ("one", 1, LAST, "ab" * 16)
        for entry in (one, two):
            assert (await node.ask(DropQuarantined(entry.id))).was_kept
        await until(lambda: "quarantine" not in node.store.problems)
        assert not (await node.ask(DropQuarantined(one.id))).was_kept
        assert (await refused(node, AcceptQuarantined(one.id))).code == Failure.NOT_FOUND
        assert await send(node, end("one", LAST)) == [Outcome.REFUSED]
        assert (await node.ask(ListQuarantine())).entries == ()
        assert (await node.put("c", "one", b'{"a":2}')).incarnation == 1
        assert root.hashes != (await node.ask(ReadTree(0, (0,)))).hashes


async def test_an_accepted_leap_is_carried_out_and_the_name_has_its_end(tmp_path: Path) -> None:
    doc: pycrdt.Doc = pycrdt.Doc(client_id=5)
    doc.get("root", type=pycrdt.Map)["/a"] = 1
    async with StoreNode(tmp_path, engine=False) as node:
        whole = DocumentUpdate("c", "one", LAST - 1, False, 0.0, doc.get_update())
        await send(node, whole, end("two", LAST))
        two, one = (await node.ask(ListQuarantine())).entries
        replies = await asyncio.gather(
            *(node.ask(AcceptQuarantined(entry.id)) for entry in (one, two))
        )
        assert [reply.outcome for reply in replies] == [Outcome.APPLIED] * 2
        assert json.loads((await node.ask(GetDocument("c", "one"))).value) == {"a": 1}
        assert (await node.ask(ListQuarantine())).entries == ()
        assert "quarantine" not in node.store.problems
        assert (await node.put("c", "one", b'{"a":2}')).incarnation == LAST - 1
        await node.put("c", "one", b"", WriteKind.DELETE)
        assert (await node.put("c", "one", b'{"a":3}')).incarnation == LAST
        await node.put("c", "one", b"", WriteKind.DELETE)
        before = await node.ask(ReadTree(0, (0,)))
        for name in ("one", "two"):
            with pytest.raises(AskFailed, match="no incarnation left") as caught:
                await node.put("c", name, b'{"a":4}')
            assert caught.value.code == Failure.EXHAUSTED
        assert (await node.ask(ReadTree(0, (0,)))).hashes == before.hashes


async def test_a_gap_stays_in_quarantine(tmp_path: Path) -> None:
    doc: pycrdt.Doc = pycrdt.Doc(client_id=5)
    root = doc.get("root", type=pycrdt.Map)
    root["/a"] = 1
    known = doc.get_state()
    root["/a"] = 2
    async with StoreNode(tmp_path, engine=False) as node:
        part = DocumentUpdate("c", "one", LAST, False, 0.0, doc.get_update(known))
        await send(node, part)
        (entry,) = (await node.ask(ListQuarantine())).entries
        assert (await refused(node, AcceptQuarantined(entry.id))).code == Failure.QUARANTINED
        whole = DocumentUpdate("c", "one", LAST, False, 0.0, doc.get_update())
        await send(node, whole)
        assert (await node.ask(AcceptQuarantined(entry.id))).outcome is Outcome.APPLIED
        assert json.loads((await node.ask(GetDocument("c", "one"))).value) == {"a": 2}


async def test_the_engine_tries_again_what_was_accepted(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        await node.put("c", "one", b'{"a":1}')
        node.store.stop()
        await node.store.wait_ready()
    from peatnode.documents.names import document_key
    from peatnode.documents.replica.keyspace import META
    from peatnode.documents.replica.replica import Replica
    from workers.store.disk.database import Database
    from workers.store.engine.quarantine import Quarantine

    database = Database(tmp_path / "store")
    assert database.get(META + b"format")
    replica = Replica(database, 1)
    Quarantine(replica).add(document_key("c", "one"), 1)
    batch = replica.take_batch()
    database.write(list(batch.writes()))
    database.sync()
    database.close()
    async with StoreNode(tmp_path, engine=False) as node:
        (entry,) = (await node.ask(ListQuarantine())).entries
        assert entry.reason is QuarantineReason.ENGINE_DOCUMENT
        assert (await refused(node, DropQuarantined(entry.id))).code == Failure.QUARANTINED
        assert (await node.ask(AcceptQuarantined(entry.id))).outcome is Outcome.APPLIED
        assert (await node.ask(ListQuarantine())).entries == ()
        assert await metric(node, "peatnode_store_quarantined") == 0
