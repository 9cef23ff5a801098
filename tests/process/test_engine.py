"""What breaks the engine: found, set aside, said; and an engine that grows is replaced."""

import asyncio
import json
from pathlib import Path

import pycrdt
import pytest

from peatnode.documents.yjs.update import decode_update
from peatnode.errors import AskFailed
from peatnode.ipc.link import Link
from peatnode.ipc.messages import (
    EngineKind,
    EngineOutcome,
    GetDocument,
    GetMetrics,
    GetStore,
    Operation,
    ReadState,
    RunOperations,
    WriteKind,
)
from tests.support.store_node import LONG, StoreNode

pytestmark = pytest.mark.timeout(120)

ABORTS = bytes.fromhex(
    "03040300880200027401007701788601000162047472756586020001620474727565c8030002030174010004020026"
    "01022f6c022f74016204747275658602000162047472756586010201620474727565240104726f6f74022f6c02c5bc"
    "010100c40200020005f09f98807800"
)
"""A valid update that makes y-py abort the process while it applies it. Found at random."""

PANICS = bytes.fromhex(
    "030202002301022f74022f61026162410101030401000401022f6c05f09f988078080104726f6f740174010084030005"
    "f09f98807881020202030300880200017e81020001850200027b7d0103010201"
)
"""A valid update after which y-py panics when the array is written."""


def with_array(*items: object) -> bytes:
    """A document that only the engine can change."""
    return json.dumps({"l": [LONG, *items]}).encode()


async def quarantined_read(node: StoreNode, document: str) -> None:
    with pytest.raises(AskFailed) as caught:
        await node.ask(GetDocument("c", document))
    assert caught.value.code == "quarantined"


def test_the_samples_are_valid():
    assert decode_update(ABORTS).structs
    assert decode_update(PANICS).structs


async def test_an_update_that_aborts_the_engine_is_set_aside_and_said(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        await node.put("c", "good", with_array(1))
        reply = await node.apply("bad", ABORTS)
        assert reply.outcomes == (
            "applied",
        )  # its updates are kept and synced, its value is not read
        await quarantined_read(node, "bad")
        assert (await node.ask(GetStore())).quarantined == ("c/bad",)
        with pytest.raises(AskFailed) as caught:
            await node.put("c", "bad", b'{"a":1}')
        assert caught.value.code == "quarantined"
        assert json.loads((await node.put("c", "good", with_array(1, 2))).value)["l"][1:] == [1, 2]
        deaths = len(node.engine.exits)
        assert deaths == 1
        # for a while after a death nothing kills it again
        for n in range(5):
            await node.apply(f"bad{n}", ABORTS)
            await quarantined_read(node, f"bad{n}")
        assert len(node.engine.exits) == deaths
        store = await node.ask(GetStore())
        assert len(store.quarantined) == 6
        assert store.engine_is_ready
    async with StoreNode(tmp_path) as node:
        await quarantined_read(node, "bad")
        state = await node.ask(ReadState("c", "bad", b""))
        assert decode_update(state.update).state_vector() == decode_update(ABORTS).state_vector()
        assert node.engine.exits == []
        # a new incarnation is a new document
        await node.put("c", "bad", b"", WriteKind.DELETE)
        await node.put("c", "bad", with_array(1))
        assert json.loads((await node.put("c", "bad", with_array(1, 2))).value)["l"][1:] == [1, 2]


async def test_a_write_that_panics_is_refused_and_the_document_goes_on(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        assert (await node.apply("one", PANICS)).outcomes == ("applied",)
        body = b'{"l":[1,2,3],"t":"x","a":1}'
        for _ in range(2):
            with pytest.raises(AskFailed) as caught:
                await node.put("c", "one", body)
            assert caught.value.code == "quarantined"
        await node.ask(GetDocument("c", "one"))
        assert (await node.put("c", "one", b'{"b":1}', WriteKind.PATCH)).was_changed
        assert node.engine.exits == []
        assert (await node.ask(GetStore())).quarantined == ("c/one",)


async def test_other_writes_of_the_same_moment_survive_the_death(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        await asyncio.gather(*(node.put("c", f"g{n}", with_array(0)) for n in range(10)))
        results = await asyncio.gather(
            *(node.put("c", f"g{n}", with_array(n)) for n in range(1, 10)),
            node.apply("bad", ABORTS),
            *(node.put("c", f"g{n}", with_array(n, "again")) for n in range(1, 10)),
        )
        assert len(results) == 19
        for n in range(1, 10):
            found = json.loads((await node.ask(GetDocument("c", f"g{n}"))).value)
            assert found == {"l": [LONG, n, "again"]}


async def test_an_engine_that_grows_is_replaced_and_nobody_notices(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        n = 0
        while not node.engine.recycles and n < 600:
            n += 1
            long = f"{n}" * 40_000
            await node.put("c", f"d{n % 40}", json.dumps({"l": [long]}).encode())
            written = await node.put("c", f"d{n % 40}", json.dumps({"l": [long, n]}).encode())
            assert json.loads(written.value)["l"][-1] == n
        assert node.engine.recycles == 1
        assert (await node.put("c", "d1", b'{"l":[1]}')).was_changed
        assert set(node.engine.exits) == {0}


async def test_a_large_text_that_is_typed_into_is_loaded_once(tmp_path: Path):
    """Each load of it would leak 0.4 MB."""
    doc: pycrdt.Doc = pycrdt.Doc(client_id=3)
    doc.get("root", type=pycrdt.Map)["/t"] = {"type": "text"}
    text = doc.get("/t", type=pycrdt.Text)
    text += "some words and " * 7_000
    async with StoreNode(tmp_path) as node:
        await node.apply("one", doc.get_update())
        for n in range(20):
            known = doc.get_state()
            text.insert(n * 100, f"{n}")
            await node.apply("one", doc.get_update(known))
            if n == 10:
                await node.put("c", "one", b'{"a":1}', WriteKind.PATCH)
            found = json.loads((await node.ask(GetDocument("c", "one", is_fresh=True))).value)
            assert found["t"] == str(text)
        link = await Link.connect(node.run_dir / "engine.sock", "test")
        metrics = {metric.name: metric.value for metric in (await link.ask(GetMetrics())).metrics}
        await link.close()
    # after the patch the store does not know what the engine holds, and the document is loaded twice more
    assert metrics["peatnode_engine_leaked_bytes"] < 4 * 500_000


async def test_the_engine_by_itself_asks_for_states_and_keeps_what_it_has(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        link = await Link.connect(node.run_dir / "engine.sock", "test")
        doc: pycrdt.Doc = pycrdt.Doc(client_id=3)
        doc.get("root", type=pycrdt.Map)["/a"] = 1

        async def run(*operations: Operation) -> list:
            return list((await link.ask(RunOperations(operations))).results)

        def put(version: int, body: bytes, *state: bytes, client: int = 9) -> Operation:
            return Operation(b"k", version, version + 1, EngineKind.PUT, body, state, client)

        assert (await run(put(5, b"{}")))[0].outcome == EngineOutcome.NEEDS_STATE
        made = await run(put(5, b'{"a":2}', doc.get_update()), put(6, b'{"a":2,"b":[1]}'))
        assert [result.outcome for result in made] == ["done", "done"]
        for result in made:
            doc.apply_update(result.update)
        assert doc.get("root", type=pycrdt.Map).to_py() == {"/a": 2, "/b": {"type": "array"}}
        same, other_client = await run(put(7, b'{"a":2,"b":[1]}'), put(7, b"{}", client=10))
        assert (same.update, json.loads(same.value)) == (b"", {"a": 2, "b": [1]})
        assert other_client.outcome == EngineOutcome.NEEDS_STATE
        assert (await run(put(7, b"[]")))[0].outcome == EngineOutcome.INVALID
        names = {metric.name for metric in (await link.ask(GetMetrics())).metrics}
        assert "peatnode_engine_live_documents" in names
        await link.close()
