"""The store process and its stand-ins: the same questions, the same answers.

The simulator and the tests of the API rely on stand-ins. Where one of them answers otherwise, its tests prove nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack
import pycrdt
import pytest

from peatnode.errors import AskFailed
from peatnode.ipc import messages as m
from peatnode.ipc.link import Dialer, Link
from peatnode.model.documents import DocumentUpdate, Outcome, Wanted
from peatnode.model.sync import (
    ApplyUpdates,
    ReadBuckets,
    ReadDifferences,
    ReadRange,
    ReadTree,
    ReadVectors,
)
from peatnode.model.tree import BUCKETS, EMPTY_HASH
from tests.sim.replicas import ReplicaStore
from tests.sim.standin import StandinStore
from tests.support.memory_node import MemoryNode
from tests.support.store_node import StoreNode
from tests.support.sync_mesh import FakeStore
from tests.support.yjs_store import Behind, serve_behind

Ask = Callable[[Any], Awaitable[Any]]
Write = Callable[[str], Awaitable[None]]
Made = Callable[[int, int], bytes]
"""The update of one writer that holds its clocks from, to."""

WRITER = 7


def yjs(start: int, end: int) -> bytes:
    doc: Any = pycrdt.Doc(client_id=WRITER)
    text = doc["text"] = pycrdt.Text()
    states = [doc.get_state()]
    for _ in range(end):
        text += "x"
        states.append(doc.get_state())
    whole: Any = pycrdt.Doc(client_id=WRITER)
    whole.apply_update(doc.get_update(states[start]))
    return bytes(doc.get_update(states[start]))


def ranges(start: int, end: int) -> bytes:
    return bytes(msgpack.packb([[WRITER, start, end]]))


@contextlib.asynccontextmanager
async def real_store() -> AsyncIterator[Ask]:
    with tempfile.TemporaryDirectory() as directory:
        async with StoreNode(Path(directory)) as node:
            yield node.ask


@contextlib.asynccontextmanager
async def in_memory(store: Any) -> AsyncIterator[Ask]:
    async def ask(question: Any) -> Any:
        return store.answer(question)

    yield ask


SYNCED: dict[str, tuple[Callable[[], Any], Made]] = {
    "store process": (real_store, yjs),
    "ReplicaStore": (lambda: in_memory(ReplicaStore()), yjs),
    "StandinStore": (lambda: in_memory(StandinStore()), ranges),
}


def change(name: str, incarnation: int, update: bytes, is_deleted: bool = False) -> DocumentUpdate:
    return DocumentUpdate("c", name, incarnation, is_deleted, 0.0, update)


@pytest.mark.parametrize("kind", SYNCED)
async def test_the_questions_of_sync(kind: str) -> None:
    opened, made = SYNCED[kind]
    async with opened() as ask:

        async def apply(*updates: DocumentUpdate) -> tuple[Outcome, ...]:
            reply = await ask(ApplyUpdates(updates, "peer"))
            assert len(reply.reasons) == len(updates)
            assert reply.documents == (await ask(ReadTree(0, (0,)))).documents
            return tuple(reply.outcomes)

        async def sequence() -> int:
            return int((await ask(ReadTree(0, (0,)))).sequence)

        nothing = await ask(ReadTree(0, (0,)))
        assert nothing.hashes == (EMPTY_HASH,)
        assert nothing.documents == 0
        assert (await ask(ReadTree(1, (0,)))).documents == -1
        before = await sequence()
        assert await apply(change("a", 1, made(0, 2))) == (Outcome.APPLIED,)
        assert await apply(change("a", 1, made(0, 2))) == (Outcome.KNOWN,)
        assert await apply(change("a", 1, made(3, 4))) == (Outcome.GAP,)
        assert await apply(change("a", 1, made(2, 3)), change("b", 1, made(0, 1))) == (
            Outcome.APPLIED,
            Outcome.APPLIED,
        )
        assert await sequence() == before + 3
        assert (await ask(ReadTree(0, (0,)))).documents == 2
        assert await apply(change("b", 1, b"", True)) == (Outcome.APPLIED,)
        assert (await ask(ReadTree(0, (0,)))).documents == 1
        assert await apply(change("b", 1, b"", True)) == (Outcome.KNOWN,)
        assert await apply(change("b", 1, made(0, 1))) == (Outcome.STALE,)
        assert await apply(change("b", 2, made(0, 1))) == (Outcome.APPLIED,)
        assert await apply(change("b", 1, b"", True)) == (Outcome.STALE,)
        assert await sequence() == before + 5

        (root,) = (await ask(ReadTree(0, (0,)))).hashes
        assert root != EMPTY_HASH
        found = await ask(ReadBuckets(((0, BUCKETS - 1),), b"", 100))
        held = {entry.id: (entry.incarnation, entry.is_deleted) for entry in found.entries}
        assert held == {"a": (1, False), "b": (2, False)}
        assert found.next_tree_key == b""

        vectors = (await ask(ReadVectors((("c", "a"), ("c", "nothing"))))).wanted
        assert [(one.id, one.incarnation) for one in vectors] == [("a", 1), ("nothing", 0)]
        assert vectors[1].state_vector == b""
        up_to_date = await ask(ReadDifferences((vectors[0],), 10**6))
        assert (up_to_date.updates, up_to_date.answered) == ((), 1)
        missing = await ask(
            ReadDifferences((Wanted("c", "a", 0, b""), Wanted("c", "no", 0, b"")), 10**6)
        )
        assert [(one.id, one.incarnation, one.is_deleted) for one in missing.updates] == [
            ("a", 1, False)
        ]
        assert missing.answered == 2
        whole = await ask(ReadRange(0, BUCKETS - 1, b"", 10**6))
        assert {one.id for one in whole.updates} == {"a", "b"}
        assert whole.next_tree_key == b""

        many = {f"d{number}" for number in range(12)}
        assert len(await apply(*[change(name, 1, made(0, 1)) for name in sorted(many)])) == 12
        pages, tree_key = [], b""
        while not pages or tree_key:
            page = await ask(ReadRange(0, BUCKETS - 1, tree_key, 10**6))
            pages += page.updates
            tree_key = page.next_tree_key
        assert sorted(one.id for one in pages) == sorted({"a", "b"} | many)

        (root,) = (await ask(ReadTree(0, (0,)))).hashes
        async with opened() as other:
            reply = await other(ApplyUpdates(tuple(pages), "peer"))
            assert set(reply.outcomes) == {Outcome.APPLIED}
            assert (await other(ReadTree(0, (0,)))).hashes == (root,)


@contextlib.asynccontextmanager
async def memory_node() -> AsyncIterator[Ask]:
    with tempfile.TemporaryDirectory() as directory:
        node = MemoryNode(Path(directory))
        await node.start_worker("store")
        dialer = Dialer(Path(directory) / "store.sock", "test")
        try:
            yield dialer.ask
        finally:
            await dialer.close()
            await node.close()


SERVED = {"store process": real_store, "MemoryNode": memory_node}


@pytest.mark.parametrize("kind", SERVED)
async def test_the_questions_of_the_api(kind: str) -> None:
    async with SERVED[kind]() as ask:

        async def write(
            name: str, body: bytes, kind: m.WriteKind = m.WriteKind.PUT, **more: Any
        ) -> Any:
            return await ask(m.WriteDocument("c", name, kind, body, **more))

        async def refused(question: Any) -> m.Failure:
            with pytest.raises(AskFailed) as failed:
                await ask(question)
            return m.Failure(failed.value.code)

        made = await write("one", b'{"a":1}')
        assert (made.was_created, made.was_changed, made.incarnation) == (True, True, 1)
        assert made.value == b'{"a":1}'
        same = await write("one", b'{"a":1}')
        assert (same.was_created, same.was_changed, same.sequence) == (False, False, made.sequence)
        assert same.fingerprint == made.fingerprint
        patched = await write("one", b'{"b":"x"}', m.WriteKind.PATCH, if_match=(made.fingerprint,))
        assert patched.value == b'{"a":1,"b":"x"}'
        assert (patched.was_created, patched.was_changed) == (False, True)
        assert patched.sequence == made.sequence + 1
        assert patched.fingerprint != made.fingerprint
        got = await ask(m.GetDocument("c", "one"))
        assert (got.value, got.fingerprint, got.sequence) == (
            patched.value,
            patched.fingerprint,
            patched.sequence,
        )

        put = m.WriteKind.PUT
        stale = m.WriteDocument("c", "one", put, b"{}", if_match=(made.fingerprint,))
        assert await refused(stale) is m.Failure.PRECONDITION
        exists = m.WriteDocument("c", "one", put, b"{}", if_none_match=(b"*",))
        assert await refused(exists) is m.Failure.PRECONDITION
        absent = m.WriteDocument("c", "none", put, b"{}", if_match=(b"*",))
        assert await refused(absent) is m.Failure.PRECONDITION
        assert await refused(m.GetDocument("c", "none")) is m.Failure.NOT_FOUND
        gone = m.WriteDocument("c", "none", m.WriteKind.DELETE, b"")
        assert await refused(gone) is m.Failure.NOT_FOUND

        await write("two", b"{}")
        await write("three", b"{}")
        page = await ask(m.ListDocuments("c", "", 2, 10**6))
        assert [one.id for one in page.documents] == ["one", "three"]
        assert (page.next_after, page.count) == ("three", 3)
        rest = await ask(m.ListDocuments("c", "three", 2, 10**6))
        assert [one.id for one in rest.documents] == ["two"]
        assert rest.next_after == ""
        some = await ask(m.ListDocuments("c", "", 10, 10**6, "t"))
        assert [one.id for one in some.documents] == ["three", "two"]
        deleted = await write("two", b"", m.WriteKind.DELETE)
        assert (deleted.was_created, deleted.was_changed) == (False, True)
        assert await refused(m.GetDocument("c", "two")) is m.Failure.NOT_FOUND
        collections = await ask(m.ListCollections())
        assert [(one.name, one.count) for one in collections.collections] == [("c", 2)]
        assert (collections.next_after, collections.total) == ("", 1)
        store = await ask(m.GetStore())
        assert (store.documents, store.sequence) == (2, deleted.sequence)
        assert store.is_writable

        for name in ("e", "d", "f"):
            await ask(m.WriteDocument(name, "x", m.WriteKind.PUT, b"{}"))
        await ask(m.WriteDocument("e", "x", m.WriteKind.DELETE, b""))
        page = await ask(m.ListCollections("", 2))
        assert [one.name for one in page.collections] == ["c", "d"]
        assert (page.next_after, page.total) == ("d", 3)
        page = await ask(m.ListCollections("d", 2))
        assert [one.name for one in page.collections] == ["f"]
        assert (page.next_after, page.total) == ("", 3)


@contextlib.asynccontextmanager
async def followed_store() -> AsyncIterator[tuple[Link, Write]]:
    with tempfile.TemporaryDirectory() as directory:
        async with StoreNode(Path(directory)) as node, await connect(node.run_dir) as link:
            yield link, lambda name: apply_to(link, name)


@contextlib.asynccontextmanager
async def followed_behind() -> AsyncIterator[tuple[Link, Write]]:
    with tempfile.TemporaryDirectory() as directory:
        async with serve_behind(Behind(), Path(directory)), await connect(Path(directory)) as link:
            yield link, lambda name: apply_to(link, name)


@contextlib.asynccontextmanager
async def followed_memory_node() -> AsyncIterator[tuple[Link, Write]]:
    with tempfile.TemporaryDirectory() as directory:
        node = MemoryNode(Path(directory))
        await node.start_worker("store")

        async def write(name: str) -> None:
            node.put("c", name, {"by": "peer"}, "peer")

        async with await connect(Path(directory)) as link:
            yield link, write
        await node.close()


@contextlib.asynccontextmanager
async def followed_fake_store() -> AsyncIterator[tuple[Link, Write]]:
    with tempfile.TemporaryDirectory() as directory:
        store = FakeStore(Path(directory) / "store.sock")
        await store.start()
        async with await connect(Path(directory)) as link:
            yield link, lambda name: apply_to(link, name, ranges(0, 1))
        await store.close()


async def connect(run_dir: Path) -> Link:
    return await Link.connect(run_dir / "store.sock", "test")


async def apply_to(link: Link, name: str, update: bytes = b"") -> None:
    reply = await link.ask(ApplyUpdates((change(name, 1, update or yjs(0, 1)),), "peer"))
    assert (reply.outcomes, reply.reasons) == ((Outcome.APPLIED,), ("",))
    assert reply.sequence == (await link.ask(m.GetStore())).sequence


FOLLOWED = {
    "store process": followed_store,
    "Behind": followed_behind,
    "MemoryNode": followed_memory_node,
    "FakeStore": followed_fake_store,
}


@pytest.mark.parametrize("kind", FOLLOWED)
async def test_the_feed_of_changes(kind: str) -> None:
    async with FOLLOWED[kind]() as (link, write), asyncio.timeout(20):
        before = (await link.ask(m.GetStore())).sequence
        seen = link.follow(m.FollowChanges(before))
        for number, name in enumerate(("one", "two", "three"), 1):
            # The first is read from the history or live. Before the others the follower has caught up.
            following = asyncio.ensure_future(anext(seen))
            await link.ask(m.GetStore())
            await write(name)
            event = await following
            assert isinstance(event, m.ChangesSeen)
            (made,) = event.changes
            assert (made.sequence, event.upto) == (before + number, before + number)
            assert (made.incarnation, made.origin) == (1, "peer")
        assert (await link.ask(m.GetStore())).sequence == before + 3
