"""A mass deletion by one node, undone on another one; and what is kept at its bounds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pycrdt
import pytest

from peatnode.client import AsyncClient, Client
from peatnode.client.errors import Conflict, NotFound
from peatnode.errors import AskFailed
from peatnode.ipc.messages import (
    GetDocument,
    GetMetrics,
    ListDeleted,
    Outcome,
    ReadDeleted,
    ReadState,
    UndeleteDocument,
    WriteKind,
)
from tests.support.nodes import Node, nodes
from tests.support.processes import peatnode
from tests.support.store_node import LONG, StoreNode
from tests.support.waiting import until, wait

COUNT = 200
LARGE = 10
"""Documents among them whose snapshot has an entry of its own."""


def value_of(number: int) -> dict[str, object]:
    text = "x" * 9000 if number < LARGE else "short"
    return {"number": number, "text": text, "list": [number, {"deep": [None, True]}]}


def content(node: Node) -> dict[str, object]:
    with Client(node.url.removesuffix("/api/v1")) as client:
        return {each.id: dict(each.value) for each in client.documents("c", page_size=1000)}


def wait_equal(mesh: list[Node]) -> None:
    wait(lambda: len({node.root() for node in mesh}) == 1, "equal roots", pause=0.1)


async def delete_all(node: Node) -> None:
    async with AsyncClient(node.url.removesuffix("/api/v1")) as client:
        names = [f"d{number}" for number in range(COUNT)]
        for at in range(0, COUNT, 50):
            await asyncio.gather(*(client.delete("c", name) for name in names[at : at + 50]))


def test_a_mass_deletion_is_undone_everywhere_from_another_node() -> None:
    with nodes(3) as mesh:
        first, second, third = mesh
        with Client(first.url.removesuffix("/api/v1")) as client:
            lines = [{"_id": f"d{number}", **value_of(number)} for number in range(COUNT)]
            assert all(line.status < 300 for line in client.import_documents("c", lines))
            client.put("c", "stays", {"a": 1})
        wait_equal(mesh)
        before = content(third)
        assert len(before) == COUNT + 1
        asyncio.run(delete_all(second))
        wait_equal(mesh)
        assert set(content(third)) == {"stays"}
        listed = doc(third, "deleted", "c", "-o", "json").split("\n")[:-1]
        assert len(listed) == COUNT
        assert {json.loads(line)["origin_peer"] for line in listed} <= {"node-0", "node-1"}
        shown = doc(third, "deleted", "c", "d1", "--url", third.url.removesuffix("/api/v1"))
        assert json.loads(shown) == value_of(1)
        assert f"{COUNT} documents undeleted" in doc(
            third, "undelete", "--all", "--since", "1h", "c"
        )
        wait_equal(mesh)
        for node in mesh:
            assert content(node) == before
        second.stop()
        second.start()
        wait_equal(mesh)
        assert content(second) == before
        with Client(second.url.removesuffix("/api/v1")) as client:
            with pytest.raises(Conflict):
                client.undelete("c", "d1")
            with pytest.raises(NotFound):
                client.undelete("c", "never")
            client.put("c", "d1", {"later": 1})
            client.delete("c", "d1")
            assert client.undelete("c", "d1").value == {"later": 1}


def doc(node: Node, *arguments: str) -> str:
    """The output of `peatnode doc`, errors included, for the node on this machine."""
    target = () if "--url" in arguments else ("--data-dir", str(node.directory))
    done = peatnode("doc", *arguments, *target)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


async def metric(node: StoreNode, name: str) -> float:
    reply = await node.ask(GetMetrics())
    return next(metric.value for metric in reply.metrics if metric.name == name)


async def test_what_is_kept_is_bounded_in_bytes(tmp_path: Path) -> None:
    room = 1 << 20
    async with StoreNode(tmp_path, engine=False, PEAT_UNDELETE_BYTES=str(room)) as node:
        for turn in range(8):
            body = json.dumps({"text": chr(97 + turn) * 9000}).encode()
            names = [f"{turn}-{number}" for number in range(40)]
            await asyncio.gather(*(node.put("c", name, body) for name in names))
            await asyncio.gather(*(node.put("c", name, b"", WriteKind.DELETE) for name in names))

        async def is_bounded() -> bool:
            return await metric(node, "peatnode_store_ended_bytes") <= room

        await until(is_bounded)
        kept = await node.ask(ListDeleted("c", b"", 1000))
        assert 50 < len(kept.entries) < 130
        assert {entry.id[0] for entry in kept.entries} <= {"5", "6", "7"}
        assert sum(entry.size for entry in kept.entries) <= room


async def test_undeletions_survive_deaths_of_the_store(tmp_path: Path) -> None:
    async with StoreNode(tmp_path) as node:
        await node.put("c", "one", b'{"a":1}')
        await node.put("c", "large", json.dumps({"text": LONG}).encode())
        for name in ("one", "large"):
            await node.put("c", name, b"", WriteKind.DELETE)
        node.store.kill()
        await node.store.wait_ready()
        read = await node.ask(ReadDeleted("c", "large"))
        assert json.loads(read.value) == {"text": LONG}
        for name in ("one", "large"):
            undeleted = await node.ask(UndeleteDocument("c", name))
            assert undeleted.incarnation == 2
        assert (await node.ask(ListDeleted("c", b"", 10))).entries == ()
        node.store.kill()
        await node.store.wait_ready()
        for name, value in (("one", {"a": 1}), ("large", {"text": LONG})):
            reply = await node.ask(GetDocument("c", name))
            assert json.loads(reply.value) == value
        with pytest.raises(AskFailed, match="exists"):
            await node.ask(UndeleteDocument("c", "one"))


async def test_nothing_is_kept_for_zero_seconds(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False, PEAT_UNDELETE_SECONDS="0") as node:
        await node.put("c", "one", b'{"a":1}')
        await node.put("c", "one", b"", WriteKind.DELETE)
        with pytest.raises(AskFailed, match="nothing is kept"):
            await node.ask(UndeleteDocument("c", "one"))


async def test_an_expiry_that_has_passed_does_not_come_back(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        await node.put("c", "one", b'{"a":1}', expires_at=2.0**33)
        await node.put("c", "two", b'{"a":1}', expires_at=1.0)

        async def has_expired() -> bool:
            return bool((await node.ask(ListDeleted("c", b"", 10))).entries)

        await until(has_expired)
        await node.put("c", "one", b"", WriteKind.DELETE)
        for name, expires_at in (("one", 2.0**33), ("two", 0.0)):
            undeleted = await node.ask(UndeleteDocument("c", name))
            assert (undeleted.value, undeleted.expires_at) == (b'{"a":1}', expires_at)


async def test_a_yjs_client_with_the_old_content_is_welcome_again(tmp_path: Path) -> None:
    editor = pycrdt.Doc(client_id=77)
    editor["t"] = text = pycrdt.Text()
    text += "before"
    async with StoreNode(tmp_path, engine=False) as node:
        await node.apply("one", editor.get_update(), origin="client:1")
        await node.put("c", "one", b"", WriteKind.DELETE)
        known = editor.get_state()
        text += ", and offline"
        stale = await node.apply("one", editor.get_update(), 2, "client:2")
        assert stale.outcomes == (Outcome.STALE,)
        undeleted = await node.ask(UndeleteDocument("c", "one"))
        news = await node.apply("one", editor.get_update(known), undeleted.incarnation, "client:2")
        assert news.outcomes == (Outcome.APPLIED,)
        again = await node.apply("one", editor.get_update(), undeleted.incarnation, "client:2")
        assert again.outcomes == (Outcome.KNOWN,)
        state = await node.ask(ReadState("c", "one", b""))
        read = pycrdt.Doc()
        read.apply_update(state.update)
        assert str(read.get("t", type=pycrdt.Text)) == "before, and offline"


async def test_what_only_the_engine_reads_is_shown_and_comes_back(tmp_path: Path) -> None:
    editor = pycrdt.Doc(client_id=77)
    root = editor.get("root", type=pycrdt.Map)
    root["/t"] = LONG
    notes = editor.get("notes", type=pycrdt.Text)
    notes += "of the editor"
    async with StoreNode(tmp_path) as node:
        await node.apply("one", editor.get_update(), origin="client:1")
        await node.put("c", "one", b"", WriteKind.DELETE)
        read = await node.ask(ReadDeleted("c", "one"))
        assert json.loads(read.value) == {"t": LONG}
        await node.ask(UndeleteDocument("c", "one"))
        reply = await node.ask(GetDocument("c", "one"))
        assert json.loads(reply.value) == {"t": LONG}
