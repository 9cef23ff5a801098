"""What takes long or much memory ends alone: it is refused, remembered, and nobody else waits for it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pycrdt
import pytest

from peatnode.documents.yjs.lib0 import var_string, var_uint
from peatnode.errors import AskFailed
from peatnode.ipc.link import Link
from peatnode.ipc.messages import (
    ChangesSeen,
    FollowChanges,
    GetDocument,
    GetMetrics,
    WriteKind,
)
from tests.support.store_node import LONG, StoreNode

pytestmark = pytest.mark.timeout(120)


def many_clients_on_one_key(first: int, count: int = 9000) -> bytes:
    """A valid update that y-py integrates in quadratic time: 20,000 clients take it 12 s."""
    item = b"\x28\1" + var_string("root") + var_string("/k") + b"\1\x7d\1"
    clients = (b"\1" + var_uint(first + n) + b"\0" + item for n in range(count))
    return var_uint(count) + b"".join(clients) + b"\0"


def with_text(words: int, client: int = 3) -> tuple[Any, Any]:
    doc: Any = pycrdt.Doc(client_id=client)
    doc.get("root", type=pycrdt.Map)["/t"] = {"type": "text"}
    text = doc.get("/t", type=pycrdt.Text)
    text += "some words and " * words
    return doc, text


async def metric(node: StoreNode, worker: str, name: str) -> float:
    async with await Link.connect(node.run_dir / f"{worker}.sock", "test") as link:
        reply = await link.ask(GetMetrics())
    return sum(each.value for each in reply.metrics if each.name == name)


async def refused(node: StoreNode, document: str, body: bytes) -> AskFailed:
    with pytest.raises(AskFailed) as caught:
        await node.put("c", document, body, WriteKind.PATCH)
    return caught.value


async def test_a_document_that_takes_the_engine_too_long_is_refused_and_nobody_waits(
    tmp_path: Path,
) -> None:
    async with StoreNode(tmp_path) as node:
        await node.put("c", "small", b'{"a":0}')
        await node.put("c", "engine", json.dumps({"l": [LONG]}).encode())
        await node.apply("slow", many_clients_on_one_key(1000))
        await node.apply("slow", many_clients_on_one_key(100_000))
        change = asyncio.create_task(refused(node, "slow", b'{"b":1}'))
        waits = []
        number = 0
        while not change.done():
            number += 1
            started = time.monotonic()
            await node.put("c", "small", b'{"a":%d}' % number)
            waits.append(time.monotonic() - started)
            await node.put("c", "engine", json.dumps({"l": [LONG, number]}).encode())
        failure = await change
        assert failure.code == "too_costly"
        assert "more time than an operation may" in failure.message
        assert number > 20
        assert sorted(waits)[len(waits) * 9 // 10] < 1.0
        assert node.engine.exits == []
        started = time.monotonic()
        assert (await refused(node, "slow", b'{"b":1}')).code == "too_costly"
        assert time.monotonic() - started < 1.0, "it is remembered"
        assert node.engine.exits == []


async def test_what_takes_too_much_memory_is_refused_and_the_engine_goes_on(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, PEAT_ENGINE_MEMORY_BYTES=str(16 * 2**20)) as node:
        await node.put("c", "good", json.dumps({"l": [LONG]}).encode())
        await node.put("c", "large", json.dumps({"a": [n % 10 for n in range(49_000)]}).encode())
        failure = await refused(node, "large", b'{"b":1}')
        assert failure.code == "too_costly"
        assert "more memory than an operation may" in failure.message
        assert json.loads(
            (await node.put("c", "good", json.dumps({"l": [LONG, 1]}).encode())).value
        )
        assert node.engine.exits == []


DOUBLE = [{"op": "copy", "from": "/l", "path": "/l/-"}]


@pytest.mark.parametrize("text", ["", LONG])
async def test_a_patch_that_grows_runs_alone_and_is_refused_at_its_operation(
    tmp_path: Path, text: str
) -> None:
    """The store would make the change itself, or the engine among others."""
    async with StoreNode(tmp_path) as node:
        await node.put("c", "d", json.dumps({"l": [1], "t": text}).encode())
        with pytest.raises(AskFailed) as caught:
            await node.put("c", "d", json.dumps(DOUBLE * 22).encode(), WriteKind.JSON_PATCH)
        assert (caught.value.code, caught.value.where) == ("invalid", "/14")
        grown = await node.put("c", "d", json.dumps(DOUBLE * 13).encode(), WriteKind.JSON_PATCH)
        assert grown.value.count(b"1") == 2**13
        assert json.loads((await node.ask(GetDocument("c", "d"))).value)["t"] == text
        assert node.engine.exits == []


async def test_later_changes_of_the_document_wait_and_keep_their_order(tmp_path: Path) -> None:
    doc, text = with_text(30_000)
    async with StoreNode(tmp_path) as node:
        await node.apply("d", doc.get_update())
        before = doc.get_state()
        text.insert(0, "typed ")
        typed = doc.get_update(before)
        written = await asyncio.gather(
            node.put("c", "d", b'{"a":1}', WriteKind.PATCH),
            node.put("c", "d", b'{"a":2,"b":1}', WriteKind.PATCH),
            node.apply("d", typed),
            node.put("c", "other", b'{"a":1}'),
            node.put("c", "d", b'{"a":3}', WriteKind.PATCH),
        )
        values = [json.loads(written[n].value) for n in (0, 1, 4)]
        assert [value["a"] for value in values] == [1, 2, 3]
        assert [value["t"].startswith("typed") for value in values] == [False, False, True]
        assert written[3].sequence < written[1].sequence, "it did not wait for the others"
        found = json.loads((await node.ask(GetDocument("c", "d"))).value)
        assert (found["a"], found["b"], found["t"]) == (3, 1, str(text))
        with pytest.raises(AskFailed) as caught:
            await asyncio.gather(
                node.put("c", "d", b"", WriteKind.DELETE),
                node.put("c", "d", b'{"a":4}', WriteKind.PATCH),
            )
        assert caught.value.code == "not_found"


async def test_reading_a_large_text_that_is_typed_never_replaces_the_engine(tmp_path: Path) -> None:
    """Each reading loaded it in the engine again, which was replaced every 2 seconds."""
    doc, text = with_text(60_000)
    async with StoreNode(tmp_path) as node:
        await node.apply("d", doc.get_update())
        seen: set[bytes] = set()
        started = time.monotonic()
        number = reads = 0
        while time.monotonic() - started < 3.0:
            number += 1
            before = doc.get_state()
            text.insert(number * 7, f"<{number}>")
            await node.apply("d", doc.get_update(before))
            found = await node.ask(GetDocument("c", "d"))
            reads += 1
            seen.add(found.fingerprint)
        assert len(seen) <= 1 + await metric(node, "store", "peatnode_store_values_computed_total")
        assert await metric(node, "store", "peatnode_store_values_computed_total") <= 6
        assert reads > 10
        fresh = await node.ask(GetDocument("c", "d", is_fresh=True))
        assert json.loads(fresh.value)["t"] == str(text)
        written = await node.put("c", "d", b'{"mine":1}', WriteKind.PATCH)
        before = doc.get_state()
        text.insert(0, "later ")
        await node.apply("d", doc.get_update(before))
        found = await node.ask(GetDocument("c", "d"))
        assert json.loads(found.value)["mine"] == 1, "a writer reads its own write"
        assert found.sequence >= written.sequence
        assert (node.engine.recycles, node.engine.exits) == (0, [])


async def test_a_follower_of_values_gets_the_last_one_of_a_burst(tmp_path: Path) -> None:
    doc, text = with_text(30_000)
    async with StoreNode(tmp_path) as node:
        first = await node.apply("d", doc.get_update())
        link = await Link.connect(node.run_dir / "store.sock", "test")
        stream = link.follow(FollowChanges(first.sequence, "c", with_value=True))
        for number in range(20):
            before = doc.get_state()
            text.insert(0, f"<{number}>")
            last = await node.apply("d", doc.get_update(before))
        values: list[bytes] = []
        async for event in stream:
            assert isinstance(event, ChangesSeen)
            values += [change.value for change in event.changes]
            if event.upto >= last.sequence:
                break
        assert json.loads(values[-1])["t"] == str(text)
        assert len(values) == 20
        assert len(set(values)) <= 4, "at most one new value a second"
        await stream.aclose()
        await link.close()


async def test_a_document_of_many_values_grows(tmp_path: Path) -> None:
    """The bounds of what is changed among others are smaller than those of a document."""
    async with StoreNode(tmp_path) as node:
        many = {"a": [n % 10 for n in range(45_000)]}
        await node.put("c", "many", json.dumps(many).encode())
        grown = await node.put("c", "many", b'{"b":1}', WriteKind.PATCH)
        assert json.loads(grown.value) == {**many, "b": 1}
        whole = {**many, "b": 1, "t": "x" * 150_000}
        put = await node.put("c", "many", json.dumps(whole).encode())
        assert json.loads(put.value) == whole
