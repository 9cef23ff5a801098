"""The store and the engine as real processes: what is promised of documents, whatever dies."""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pycrdt
import pytest

from peatnode.documents.limits import MAX_DERIVED_CLIENTS
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import decode_update, encode_update
from peatnode.errors import AskFailed, AskTimedOut, LinkLost
from peatnode.ipc.messages import (
    ApplyUpdates,
    DocumentUpdate,
    FeedGap,
    FollowChanges,
    GetDocument,
    GetMetrics,
    GetStore,
    ListCollections,
    ListDocuments,
    Outcome,
    ReadBuckets,
    ReadDifferences,
    ReadRange,
    ReadState,
    ReadTree,
    ReadVectors,
    WriteKind,
)
from tests.support.store_files import until_merged
from tests.support.store_node import LONG, StoreNode
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[StoreNode]:
    async with StoreNode(tmp_path) as node:
        yield node


async def read(node: StoreNode, document: str, collection: str = "c") -> object:
    return json.loads((await node.ask(GetDocument(collection, document))).value)


async def refused(node: StoreNode, code: str, *args: object, **more: object) -> AskFailed:
    with pytest.raises(AskFailed) as caught:
        await node.put(*args, **more)  # type: ignore[arg-type]
    assert caught.value.code == code
    return caught.value


# --- documents


async def test_put_get_patch_delete(node: StoreNode):
    made = await node.put("c", "one", b'{"a": {"b": 1, "c": [1, {"x": 2.0}, null]}, "n": 1.0}')
    assert (made.was_created, made.was_changed, made.incarnation) == (True, True, 1)
    assert made.value == b'{"a":{"b":1,"c":[1,{"x":2},null]},"n":1}'
    assert (await node.ask(GetDocument("c", "one"))).fingerprint == made.fingerprint
    same = await node.put("c", "one", made.value)
    assert (same.was_changed, same.sequence) == (False, made.sequence)
    patched = await node.put("c", "one", b'{"a":{"b":null},"z":"y"}', WriteKind.PATCH)
    assert json.loads(patched.value) == {"a": {"c": [1, {"x": 2}, None]}, "n": 1, "z": "y"}
    body = b'[{"op":"add","path":"/a/c/1","value":"in"},{"op":"remove","path":"/n"}]'
    patched = await node.put("c", "one", body, WriteKind.JSON_PATCH)
    assert json.loads(patched.value) == {"a": {"c": [1, "in", {"x": 2}, None]}, "z": "y"}
    assert await read(node, "one") == json.loads(patched.value)
    gone = await node.put("c", "one", b"", WriteKind.DELETE)
    assert gone.was_changed
    await refused(node, "not_found", "c", "one", b"", WriteKind.DELETE)
    await refused(node, "not_found", "c", "one", b"{}", WriteKind.PATCH)
    again = await node.put("c", "one", b"{}")
    assert (again.was_created, again.incarnation, again.value) == (True, 2, b"{}")


async def test_what_cannot_be_is_refused_with_its_place(node: StoreNode):
    await refused(node, "invalid", "c/d", "one", b"{}")
    await refused(node, "invalid", "c", "a/b", b"{}")
    await refused(node, "invalid", "c", "..", b"{}")
    await refused(node, "invalid", "c", "x" * 257, b"{}")
    for body in (b"", b"[]", b"1", b"{", b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":1e999}', b"\xff"):
        await refused(node, "invalid", "c", "one", body)
    for number in (b"9223372036854775808", b"-9223372036854775809", b"1" + b"0" * 40):
        await refused(node, "invalid", "c", "one", b'{"a":{"b":[0,%s]}}' % number)
    await refused(node, "invalid", "c", "one", b'{"a":' * 100 + b"1" + b"}" * 100)
    await refused(node, "invalid", "c", "one", b"[" * 5000 + b"]" * 5000)
    await refused(node, "invalid", "c", "one", json.dumps({"k" * 5000: 1}).encode())
    await refused(node, "too_large", "c", "one", b'{"a":"%s"}' % (b"x" * 2**20))
    await node.put("c", "one", b'{"a":[1,2]}')
    for patch in (
        b"{}", b'[{"op":"x","path":""}]', b'[{"op":"test","path":"/a/0","value":2}]',
        b'[{"op":"remove","path":"/a/2"}]', b'[{"op":"add","path":"/b/c","value":1}]',
        b'[{"op":"replace","path":"","value":1}]', b'[{"op":"move","from":"/a","path":"/a/0"}]',
        b'[{"op":"add","path":"/a","value":[1,2,3,4]},{"op":"remove","path":"/nothing"}]',
    ):  # fmt: skip
        await refused(node, "invalid", "c", "one", patch, WriteKind.JSON_PATCH)
    assert await read(node, "one") == {"a": [1, 2]}
    store = await node.ask(GetStore())
    assert (store.documents, store.sequence) == (1, 1)


@pytest.mark.parametrize(
    "body",
    [
        {
            "a": 2**53 - 1,
            "b": 2**53,
            "c": 2**63 - 1,
            "d": -(2**63),
            "e": 1.5,
            "f": 1e300,
            "g": -0.5,
        },
        {"": {"": ""}, "a/b": {"~": 1}, "~1": 2, "ż😀": "ż😀"},
        {"e": {}, "l": [], "n": [[], {}, [{}]], "t": True, "f": False, "0": None},
        {"list": [1.5, 2**60, "x", None, True, {"type": "array"}], "o": {"type": "array"}},
        {},
    ],
)
async def test_values_come_back_as_they_were(node: StoreNode, body: dict):
    await node.put("c", "large", json.dumps({"l": [LONG]}).encode())  # the engine has to do it
    await node.put("c", "lists", b'{"l":[1]}')
    for document in ("large", "lists", "new"):
        written = await node.put("c", document, json.dumps(body).encode())
        assert json.loads(written.value) == body
        # and from the state alone, as a peer reads it
        state = await node.ask(ReadState("c", document, b""))
        await node.apply("copy-" + document, state.update)
        assert await read(node, "copy-" + document) == body


async def test_random_values_lead_to_each_other_by_engine_and_without(
    node: StoreNode, rng: random.Random
):

    def some(depth: int) -> object:
        kind = rng.randrange(8 if depth else 5)
        if kind < 5:
            return rng.choice([1, 2.5, "x", "żó", None, True, {}, [], 2**60, -3])
        if kind == 5:
            return [some(depth - 1) for _ in range(rng.randrange(4))]
        return {rng.choice("abc/~"): some(depth - 1) for _ in range(rng.randrange(4))}

    await node.put("c", "large", json.dumps({"keep": [LONG]}).encode())
    for _ in range(100):
        target = {rng.choice("abcd"): some(3) for _ in range(rng.randrange(4))}
        body = json.dumps(target).encode()
        assert json.loads((await node.put("c", "small", body)).value) == target
        body = json.dumps({**target, "keep": [LONG]}).encode()
        written = json.loads((await node.put("c", "large", body)).value)
        assert written.pop("keep") == [LONG]
        assert written == target
    for document in ("small", "large"):
        state = await node.ask(ReadState("c", document, b""))
        await node.apply("copy-" + document, state.update)
        assert await read(node, "copy-" + document) == await read(node, document)


async def test_preconditions_see_the_open_group(node: StoreNode):
    made = await node.put("c", "one", b'{"n":0}')
    results = await asyncio.gather(
        *(
            node.put("c", "one", b'{"n":%d}' % n, if_match=(made.fingerprint,))
            for n in range(1, 20)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert {r.code for r in results if isinstance(r, AskFailed)} == {"precondition"}
    created = await asyncio.gather(
        *(node.put("c", "two", b'{"l":[%d]}' % n, if_none_match=(b"*",)) for n in range(20)),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, BaseException) for result in created) == 1
    await refused(node, "precondition", "c", "three", b"{}", if_match=(b"*",))


@pytest.mark.parametrize("first", [[], [LONG]], ids=["without the engine", "by the engine"])
async def test_concurrent_appends_to_one_array_are_all_kept(node: StoreNode, first: list):
    await node.put("c", "one", json.dumps({"l": first}).encode())
    await asyncio.gather(
        *(
            node.put(
                "c", "one", b'[{"op":"add","path":"/l/-","value":%d}]' % n, WriteKind.JSON_PATCH
            )
            for n in range(100)
        )
    )
    found = await read(node, "one")
    assert sorted(found["l"][len(first) :]) == list(range(100))  # type: ignore[index]


async def test_listing_pages_and_counts(node: StoreNode):
    await asyncio.gather(*(node.put("c", f"d{n:03}", b'{"n":%d}' % n) for n in range(50)))
    await node.put("d", "x", b"{}")
    await node.put("d", "y", b"{}")
    await node.put("d", "y", b"", WriteKind.DELETE)
    page = await node.ask(ListDocuments("c", "", 20, 10**6))
    assert (len(page.documents), page.count, page.next_after) == (20, 50, "d019")
    rest = await node.ask(ListDocuments("c", page.next_after, 100, 10**6))
    assert [entry.id for entry in rest.documents] == [f"d{n:03}" for n in range(20, 50)]
    assert rest.next_after == ""
    small = await node.ask(ListDocuments("c", "", 100, 300, "d00"))
    assert 1 <= len(small.documents) < 10
    collections = await node.ask(ListCollections())
    assert [(entry.name, entry.count) for entry in collections.collections] == [("c", 50), ("d", 1)]


async def test_a_yjs_client_and_json_see_the_same(node: StoreNode):
    doc: pycrdt.Doc = pycrdt.Doc(client_id=77)
    root = doc.get("root", type=pycrdt.Map)
    doc.get("xml", type=pycrdt.XmlFragment).children.append(pycrdt.XmlElement("p"))
    root["title"], root["/deep/er"] = "x", 1
    assert (await node.apply("one", doc.get_update(), origin="client")).outcomes == ("applied",)
    assert await read(node, "one") == {"title": "x", "deep": {"er": 1}}
    await node.put("c", "one", b'{"title":"y","tags":["a"]}')
    state = await node.ask(ReadState("c", "one", doc.get_state()))
    doc.apply_update(state.update)
    assert doc.get("root", type=pycrdt.Map).to_py() == {"title": "y", "/tags": {"type": "array"}}
    assert doc.get("/tags", type=pycrdt.Array).to_py() == ["a"]
    assert str(doc.get("xml", type=pycrdt.XmlFragment)) == "<p></p>"
    doc.get("/tags", type=pycrdt.Array).append("b")
    before = state.state_vector
    assert (await node.apply("one", doc.get_update(before))).outcomes == ("applied",)
    assert await read(node, "one") == {"title": "y", "tags": ["a", "b"]}


async def test_a_text_that_people_edit_is_edited_by_put(node: StoreNode):
    doc: pycrdt.Doc = pycrdt.Doc(client_id=78)
    text = doc.get("/t", type=pycrdt.Text)
    text.insert(0, "hello wörld 😀!")
    doc.get("root", type=pycrdt.Map)["/t"] = {"type": "text"}
    await node.apply("one", doc.get_update(), origin="client")
    assert await read(node, "one") == {"t": "hello wörld 😀!"}
    await node.put("c", "one", '{"t":"hello wörld, 😀?"}'.encode())
    state = await node.ask(ReadState("c", "one", doc.get_state()))
    doc.apply_update(state.update)
    assert str(text) == "hello wörld, 😀?"


async def test_expired_documents_are_deleted(node: StoreNode):
    await node.put("c", "one", b"{}", expires_at=1.0)
    far = await node.put("c", "two", b'{"l":[1]}', expires_at=4e9)
    assert far.expires_at == 4e9
    assert (await node.put("c", "two", b'{"l":[1,2]}')).expires_at == 4e9
    assert (await node.put("c", "two", b'{"l":[1,2]}', expires_at=0.0)).expires_at == 0

    async def is_gone() -> bool:
        return [d.id for d in (await node.ask(ListDocuments("c", "", 9, 999))).documents] == ["two"]

    await until(is_gone)


# --- between nodes


async def test_two_stores_come_together_by_tree_ranges_and_differences(tmp_path: Path):
    async with (
        StoreNode(tmp_path / "a", HOSTNAME="node-a") as a,
        StoreNode(tmp_path / "b", HOSTNAME="node-b") as b,
    ):
        for n in range(40):
            await a.put("c", f"d{n}", b'{"n":%d,"l":[%d]}' % (n, n))
        await a.put("c", "d0", b"", WriteKind.DELETE)
        tree_key = b""
        while True:
            part = await a.ask(ReadRange(0, 65535, tree_key, 2000))
            applied = await b.ask(ApplyUpdates(part.updates, "a" * 32))
            assert set(applied.outcomes) == {"applied"}
            tree_key = part.next_tree_key
            if not tree_key:
                break
        roots = [(await n.ask(ReadTree(0, (0,)))).hashes for n in (a, b)]
        assert roots[0] == roots[1]
        await asyncio.gather(
            a.put("c", "d7", b'{"n":7,"l":[7,"a"]}'), b.put("c", "d7", b'{"n":7,"l":[7,"b"],"x":1}')
        )
        names = (("c", "d7"), ("c", "none"))
        for one, other in ((a, b), (b, a)):
            wanted = (await one.ask(ReadVectors(names))).wanted
            got = await other.ask(ReadDifferences(wanted, 10**6))
            assert (len(got.updates), got.answered) == (1, 2)
            await one.ask(ApplyUpdates(got.updates, "p"))
        assert await read(a, "d7") == await read(b, "d7")
        assert sorted(map(str, (await read(a, "d7"))["l"])) == ["7", "a", "b"]  # type: ignore[index]
        entries = [(await n.ask(ReadBuckets(((0, 65535),), b"", 1000))).entries for n in (a, b)]
        assert entries[0] == entries[1]
        assert len(entries[0]) == 40
        sources = {change.origin async for change in changes_until(b, 40)}
        assert sources == {"a" * 32, "", "p"}


async def changes_until(node: StoreNode, upto: int, **more: object) -> AsyncIterator:
    async for event in node.dialer.follow(FollowChanges(0, **more)):  # type: ignore[arg-type]
        for change in event.changes:
            yield change
        if event.upto >= upto:
            return


async def test_the_feed_tells_everything_in_order_from_anywhere(node: StoreNode):
    for n in range(30):
        await node.put("c" if n % 3 else "d", f"x{n % 5}", b'{"n":%d}' % n)
    told = [change async for change in changes_until(node, 30, with_update=True, with_value=True)]
    assert [change.sequence for change in told] == list(range(1, 31))
    assert [json.loads(change.value)["n"] for change in told] == list(range(30))
    mirror = [
        decode_update(change.update)
        for change in told
        if (change.collection, change.id) == ("c", "x1")
    ]
    state = await node.ask(ReadState("c", "x1", b""))
    assert encode_update(compact(merge_updates(mirror))) == encode_update(
        compact(decode_update(state.update))
    )
    only = [change async for change in changes_until(node, 28, collection="d")]
    assert [change.sequence for change in only] == list(range(1, 31, 3))
    node.store.kill()
    await node.store.wait_ready()
    from_disk = [change async for change in changes_until(node, 30)]
    assert [change.sequence for change in from_disk] == list(range(1, 31))
    whole = [change async for change in changes_until(node, 30, with_update=True)]
    assert len({(change.collection, change.id) for change in whole}) == len(whole)
    assert {(c.collection, c.id) for c in whole} == {(c.collection, c.id) for c in told}


async def test_a_follower_of_nothing_is_told_when_it_has_caught_up(node: StoreNode):
    for n in range(3):
        await node.put("c", f"x{n}", b"{}")
    stream = node.dialer.follow(FollowChanges(0, "nobody"))
    event = await asyncio.wait_for(anext(stream), 10)
    assert (event.changes, event.upto) == ((), 3)
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_follower_hears_of_writes_as_they_happen(node: StoreNode):
    stream = node.dialer.follow(FollowChanges(-1, "c", "one"))
    first = asyncio.create_task(anext(stream))
    while not first.done():
        await node.put("c", "other", b"{}")
        await node.put("c", "one", b'{"n":%d}' % random.getrandbits(40))
        await asyncio.sleep(0.01)
    assert {change.id for change in first.result().changes} == {"one"}
    assert not isinstance(first.result(), FeedGap)
    await stream.aclose()  # type: ignore[attr-defined]


# --- deaths


@pytest.mark.parametrize("victim", ["store", "engine"])
async def test_killing_a_worker_under_load_loses_nothing_acknowledged(tmp_path: Path, victim: str):
    async with StoreNode(tmp_path) as node:
        acknowledged: dict[str, int] = {}
        codes: set[str] = set()
        is_over = asyncio.Event()

        async def write(who: int) -> None:
            n = 0
            while not is_over.is_set():
                n += 1
                document = f"w{who}-{n % 5}"
                try:
                    body = json.dumps({"n": n, "l": [LONG, n]}).encode()
                    await node.put("c", document, body)
                    acknowledged[document] = n
                except (LinkLost, AskTimedOut):
                    continue
                except AskFailed as failed:
                    codes.add(failed.code)

        writers = [asyncio.create_task(write(who)) for who in range(8)]
        for _ in range(3):
            before = sum(acknowledged.values())
            await asyncio.sleep(0.3)
            getattr(node, victim).kill()

            async def goes_on(before: int = before) -> bool:
                return sum(acknowledged.values()) > before + 20

            await until(goes_on)
        is_over.set()
        await asyncio.gather(*writers)
        assert codes <= {"unavailable"}
        for document, n in acknowledged.items():
            found = await read(node, document)
            assert found["n"] >= n  # type: ignore[index]
            assert found["l"] == [LONG, found["n"]]  # type: ignore[index]
        store = await node.ask(GetStore())
        assert store.quarantined == ()


async def test_peers_are_taken_from_while_the_engine_is_away(tmp_path: Path):
    doc: pycrdt.Doc = pycrdt.Doc(client_id=5)
    doc.get("root", type=pycrdt.Map)["/l"] = {"type": "array"}
    doc.get("/l", type=pycrdt.Array).append(LONG)
    async with StoreNode(tmp_path, engine=False) as node:
        assert (await node.apply("one", doc.get_update())).outcomes == (Outcome.APPLIED,)
        await node.put("c", "flat", b'{"a":1}')
        assert not (await node.ask(GetStore())).engine_is_ready
        waiting = asyncio.create_task(read(node, "one"))
        node.engine.start()
        assert await waiting == {"l": [LONG]}


async def test_small_documents_with_arrays_and_texts_need_no_engine(tmp_path: Path):
    doc: pycrdt.Doc = pycrdt.Doc(client_id=5)
    root, text = doc.get("root", type=pycrdt.Map), doc.get("/t", type=pycrdt.Text)
    root["/l"], root["/t"] = {"type": "array"}, {"type": "text"}
    text += "some text"
    async with StoreNode(tmp_path, engine=False) as node:
        await node.apply("one", doc.get_update())
        for n in range(300):
            body = b'[{"op":"add","path":"/l/-","value":%d}]' % n
            await node.put("c", "one", body, WriteKind.JSON_PATCH)
        await node.put("c", "one", b'{"t":"some more text"}', WriteKind.PATCH)
        text.insert(0, "Here is ")
        await node.apply("one", doc.get_update())
        found = {"l": list(range(300)), "t": "Here is some more text"}
        assert await read(node, "one") == found
        doc.apply_update((await node.ask(ReadState("c", "one", b""))).update)
        assert str(text) == found["t"]
        assert doc.get("/l", type=pycrdt.Array).to_py() == found["l"]
    async with StoreNode(tmp_path, engine=False) as node:
        assert await read(node, "one") == found
        assert (await node.put("c", "one", b'{"l":[]}')).was_changed


async def test_an_engine_that_stays_away_makes_writes_unavailable(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        await node.put("c", "one", json.dumps({"l": [LONG]}).encode())
        node.engine.restarts = False
        node.engine.kill()
        await node.engine.wait_ended()
        await refused(node, "unavailable", "c", "one", b'{"l":[1,2]}')
        assert await read(node, "one") == {"l": [LONG]}
        assert (await node.put("c", "flat", b'{"a":1}')).was_changed


# --- bad updates


POISON = {
    "clients beyond the bytes": b"\xff\xff\xff\xff\x0f",
    "structs beyond the bytes": b"\x01\xff\xff\xff\xff\x0f\x01\x00",
    "array beyond the bytes": b"\x01\x01\x01\x00\x08\x01\x01a\xff\xff\xff\xff\x0f",
    "string beyond the bytes": b"\x01\x01\x01\x00\x04\x01\x01a\xff\xff\xff\xff\x0f",
    "depth": b"\x01\x01\x01\x00\x08\x01\x01a\x01" + b"\x75\x01" * 50_000 + b"\x7e\x00",
    "invalid UTF-8 in a text": b"\x01\x01\x01\x00\x04\x01\x01a\x02\xff\xfe\x00",
    "invalid UTF-8 in a key": b"\x01\x01\x01\x00\x28\x01\x04root\x02\xff\xfe\x01\x7e\x00",
    "unknown type": b"\x01\x01\x01\x00\x07\x01\x01a\x63\x00",
    "sub-document": b"\x01\x01\x01\x00\x09\x01\x01a\x01x\x76\x00\x00",
    "many sets without origin": b"\x01\xc0\x84\x3d\x01\x00" + b"\x28\x01\x01a\x01k\x01\x7e" * 1_000_000 + b"\x00",
}  # fmt: skip


async def test_poison_is_refused_and_kills_nobody(node: StoreNode):
    for name, poison in POISON.items():
        reply = await node.apply("one", poison)
        assert reply.outcomes == ("refused",), name
        assert reply.reasons[0], name
    assert (await node.ask(GetStore())).documents == 0
    assert node.store.exits == node.engine.exits == []
    metrics = (await node.ask(GetMetrics())).metrics
    assert [m.value for m in metrics if m.name == "peatnode_rejected_input_total"] == [len(POISON)]


async def test_nested_types_and_garbage_under_root_do_not_poison_the_document(node: StoreNode):
    one: pycrdt.Doc = pycrdt.Doc(client_id=1)
    one.get("root", type=pycrdt.Map)["nested"] = pycrdt.Map({"x": 1})
    one.get("root", type=pycrdt.Map)["plain"] = 2
    two: pycrdt.Doc = pycrdt.Doc(client_id=2)
    two.apply_update(one.get_update())
    two.get("root", type=pycrdt.Map)["nested"]["x"] = 2
    del one.get("root", type=pycrdt.Map)["nested"]
    for update in (one.get_update(), two.get_update(), one.get_update()):
        outcome = (await node.apply("one", update)).outcomes[0]
        assert outcome in ("applied", "known")
        assert (await read(node, "one"))["plain"] == 2  # type: ignore[index]
    written = await node.put("c", "one", b'{"plain":3,"l":[1]}')
    assert json.loads(written.value) == {"plain": 3, "l": [1]}
    two.apply_update((await node.ask(ReadState("c", "one", two.get_state()))).update)
    assert two.get("root", type=pycrdt.Map)["plain"] == 3
    assert node.engine.exits == []


# --- the disk


async def test_a_restart_finds_everything(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        for n in range(50):
            await node.put("c", f"d{n}", b'{"n":%d,"l":[1]}' % n)
        before = await node.ask(GetStore())
    async with StoreNode(tmp_path) as node:
        after = await node.ask(GetStore())
        assert (after.root, after.sequence, after.generation, after.documents) == (
            before.root, before.sequence, before.generation, 50,
        )  # fmt: skip
        assert await read(node, "d7") == {"n": 7, "l": [1]}


async def test_a_restored_copy_writes_under_a_new_generation(tmp_path: Path):
    async with StoreNode(tmp_path / "a") as node:
        await node.put("c", "one", b'{"n":1}')
        before = await node.ask(GetStore())
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    async with StoreNode(tmp_path / "b") as node:
        after = await node.ask(GetStore())
        assert after.root == before.root
        assert after.generation != before.generation


@pytest.mark.parametrize("is_backed_up_running", [True, False])
async def test_files_put_back_in_place_write_under_a_new_generation(
    tmp_path: Path, is_backed_up_running: bool
):
    """As by an image of the volume: inodes and times are those of then."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    async with StoreNode(data) as node:
        await node.put("c", "one", b'{"n":1}')
        before = await node.ask(GetStore())
        if is_backed_up_running:
            shutil.copytree(data / "store", backup)
    if not is_backed_up_running:
        shutil.copytree(data / "store", backup)
    async with StoreNode(data) as node:
        await node.put("c", "one", b'{"n":2}')
        await node.put("c", "one", b'{"n":3}')
        assert (await node.ask(GetStore())).generation == before.generation
    for file in (data / "store").iterdir():
        kept = backup / file.name
        if not kept.exists():
            file.unlink()
        elif kept.read_bytes() != file.read_bytes():
            file.write_bytes(kept.read_bytes())  # the inode stays
            shutil.copystat(kept, file)
    for kept in backup.iterdir():
        if not (data / "store" / kept.name).exists():
            shutil.copy2(kept, data / "store")
    async with StoreNode(data) as node:
        assert await read(node, "one") == {"n": 1}
        after = await node.ask(GetStore())
        assert (after.root, after.generation == before.generation) == (before.root, False)
        problem = node.store.problems["lost"]
        assert "last 2 changes" in problem.message
        assert not problem.blocks_readiness


async def test_a_killed_store_goes_on_under_its_generation(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        for n in range(3):
            generation = (await node.ask(GetStore())).generation
            await node.put("c", f"d{n}", b"{}")
            node.store.kill()
            await node.store.wait_ready()
            store = await node.ask(GetStore())
            assert (store.generation, store.documents) == (generation, n + 1)
            assert node.store.problems == {}


async def test_somebody_elses_writes_under_our_client_id_make_a_new_generation(tmp_path: Path):
    async with StoreNode(tmp_path / "a") as node:
        await node.put("c", "one", b'{"n":0}')
        await node.put("c", "one", b'{"n":1}')
        generation = (await node.ask(GetStore())).generation
        state = await node.ask(ReadState("c", "one", b""))
        assert (await node.apply("two", state.update)).outcomes == ("applied",)
        await node.put("c", "one", b'{"n":2}')
        renewed = (await node.ask(GetStore())).generation
        assert renewed != generation
        state = await node.ask(ReadState("c", "one", b""))
        assert len(decode_update(state.update).structs) == 3  # one of them is derived
    async with StoreNode(tmp_path / "a") as node:
        assert (await node.ask(GetStore())).generation == renewed


async def test_a_text_and_an_array_that_another_writer_contradicts_are_written_again(
    node: StoreNode,
):
    """The document has so many writers that this node writes lists under its own id as well."""
    doc: pycrdt.Doc = pycrdt.Doc(client_id=78)
    doc.get("/t", type=pycrdt.Text).insert(0, "base")
    doc.get("/l", type=pycrdt.Array).append("base")
    doc.get("root", type=pycrdt.Map).update({"/t": {"type": "text"}, "/l": {"type": "array"}})
    for client in range(100, 100 + MAX_DERIVED_CLIENTS):
        other: pycrdt.Doc = pycrdt.Doc(client_id=client)
        other.get("root", type=pycrdt.Map)["/n"] = 1
        doc.apply_update(other.get_update())
    writers = set(decode_update(doc.get_update()).structs)
    await node.apply("one", doc.get_update())
    await node.put("c", "one", b'{"n":1,"t":"base mine","l":["base","mine"]}')
    await node.put("c", "two", b'{"mine":0}')
    await node.put("c", "two", b'{"mine":1}')
    state = decode_update((await node.ask(ReadState("c", "one", b""))).update)
    (own,) = state.structs.keys() - writers
    twin: pycrdt.Doc = pycrdt.Doc(client_id=own)
    twin.apply_update(doc.get_update())
    text, items = twin.get("/t", type=pycrdt.Text), twin.get("/l", type=pycrdt.Array)
    text += " and theirs, which is longer"
    items.append("theirs")
    assert (await node.apply("one", twin.get_update())).outcomes == ("gap",)
    mine = {"n": 1, "t": "base mine", "l": ["base", "mine"]}
    assert await read(node, "one") == mine
    await until(lambda: "withdrawn" in node.store.problems)
    assert await read(node, "one") == mine
    assert (await node.apply("one", twin.get_update())).outcomes == ("applied",)
    found = await read(node, "one")
    assert isinstance(found, dict)
    assert sorted(found["l"]) == ["base", "mine", "theirs"]
    assert " mine" in found["t"]
    assert " and theirs, which is longer" in found["t"]
    assert len(found["t"]) == len("base mine and theirs, which is longer")
    metrics = (await node.ask(GetMetrics())).metrics
    counts = [m.value for m in metrics if m.name == "peatnode_store_withdrawals_total"]
    assert sorted(counts) == [0, 2]


def newest_log(data_dir: Path) -> Path:
    return max((data_dir / "store").glob("*.log"))


async def killed_node_with(data_dir: Path, count: int) -> None:
    async with StoreNode(data_dir, restarts=False) as node:
        for n in range(count):
            await node.put(
                "c", f"d{n}", b'{"n":%d,"text":"%s"}' % (n, os.urandom(100).hex().encode())
            )
        node.store.kill()
        await node.store.wait_ended()


async def test_a_damaged_log_is_repaired_reported_and_ends_the_generation(tmp_path: Path):
    await killed_node_with(tmp_path, 50)
    log = newest_log(tmp_path)
    damaged = bytearray(log.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    log.write_bytes(damaged)
    async with StoreNode(tmp_path) as node:
        assert "mended" in node.store.problems
        store = await node.ask(GetStore())
        assert 0 < store.documents < 50
        await node.put("c", "more", b"{}")
    async with StoreNode(tmp_path) as node:
        again = await node.ask(GetStore())
        assert again.generation == store.generation
        assert node.store.problems == {}


async def test_a_damaged_table_is_an_error_of_what_needs_it_and_no_silent_end(tmp_path: Path):
    """The documents are larger than the cache, and the start has read them before they are damaged."""
    async with StoreNode(tmp_path) as node:
        texts = [b64encode(os.urandom(2900)) for _ in range(2500)]
        await asyncio.gather(
            *(node.put("c", f"d{n:04}", b'{"text":"%s"}' % text) for n, text in enumerate(texts))
        )
    node = StoreNode(tmp_path, restarts=False)
    node.store.start()
    try:
        await node.store.wait_ready()
        for table in await until_merged(tmp_path / "store"):
            damaged = bytearray(table.read_bytes())
            for at in range(len(damaged) // 8, len(damaged) // 2):
                damaged[at] ^= 0xFF
            with table.open("r+b") as file:
                file.write(damaged)
        with pytest.raises(AskFailed) as caught:
            await node.ask(ListDocuments("c", "", 2500, 10**8))
        assert caught.value.code == "storage"
        await until(lambda: "damage" in node.store.problems)
    finally:
        await node.stop()


async def test_a_second_process_is_refused(tmp_path: Path):
    async with StoreNode(tmp_path):
        second = StoreNode(tmp_path, restarts=False)
        second.store.start()
        assert await second.store.wait_ended() == 78
        assert "in use" in second.store.problems["configuration"].message
        await second.stop()


async def test_a_newer_format_is_refused(tmp_path: Path):
    async with StoreNode(tmp_path) as node:
        await node.put("c", "one", b"{}")
    script = (
        "import sys, msgpack; from pathlib import Path; from workers.store.disk.database import Database; "
        "db = Database(Path(sys.argv[1])); db.write([(b'mformat', msgpack.packb(99))]); db.sync(); db.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], check=True)
    node = StoreNode(tmp_path, restarts=False)
    node.store.start()
    assert await node.store.wait_ended() == 78
    assert "newer" in node.store.problems["configuration"].message
    await node.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> AsyncIterator[Path]:
    """A file system of 24 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=False
    )
    if made.returncode:
        pytest.skip("mounting needs root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_refuses_writes_answers_reads_and_recovers(small_disk: Path):
    async with StoreNode(small_disk) as node:
        await node.put("c", "kept", b'{"a":1}')
        (small_disk / "ballast").write_bytes(
            b"x" * (os.statvfs(small_disk).f_bavail * 4096 - 300_000)
        )
        acknowledged = []
        failed = None
        for n in range(200):
            try:
                await node.put("c", f"d{n}", b'{"text":"%s"}' % os.urandom(5000).hex().encode())
                acknowledged.append(n)
            except AskFailed as error:
                failed = error
                break
        assert failed is not None
        assert failed.code == "storage"
        assert node.store.problems["storage"].blocks_readiness
        assert await read(node, "kept") == {"a": 1}
        assert not (await node.ask(GetStore())).is_writable
        (small_disk / "ballast").unlink()

        async def is_writable() -> bool:
            return (await node.ask(GetStore())).is_writable  # type: ignore[no-any-return]

        await until(is_writable)
        assert "storage" not in node.store.problems
        await node.put("c", "after", b"{}")
        for n in acknowledged:
            await node.ask(GetDocument("c", f"d{n}"))
        root = (await node.ask(GetStore())).root
        node.store.kill()
        await node.store.wait_ready()
        assert (await node.ask(GetStore())).root == root


async def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "store").write_text("a file in the way")
    node = StoreNode(tmp_path, restarts=False)
    node.store.start()
    assert await node.store.wait_ended() == 78
    assert str(tmp_path) in node.store.problems["configuration"].message
    await node.stop()


async def test_many_updates_at_once_are_one_answer(node: StoreNode):
    def update(n: int) -> bytes:
        doc: pycrdt.Doc = pycrdt.Doc(client_id=n + 1)
        doc.get("root", type=pycrdt.Map)["/n"] = n
        return doc.get_update()

    sent = tuple(DocumentUpdate("c", f"d{n}", 1, False, 0.0, update(n)) for n in range(200))
    reply = await node.ask(ApplyUpdates((*sent, *sent[:3]), "peer"))
    assert reply.outcomes == ("applied",) * 200 + ("known",) * 3
    assert reply.sequence == 200
