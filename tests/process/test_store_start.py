"""A store that starts from its checkpoint and the feed knows what one knows that reads all entries."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from peatnode.documents.replica.index.checkpoint import decode_checkpoint
from peatnode.documents.replica.index.load import LoadedIndex, load_index
from peatnode.documents.replica.keyspace import CHECKPOINT, FEED, FLUSHED, KeyValue, number
from peatnode.errors import AskFailed, LinkLost
from peatnode.ipc.messages import GetStore, StoreReply, WriteKind
from tests.support.store_node import StoreNode
from workers.store.disk.database import Database

pytestmark = pytest.mark.timeout(60)


def store_in(path: Path) -> StoreNode:
    """Flat documents need no engine."""
    return StoreNode(path, engine=False)


@contextmanager
def opened(path: Path) -> Iterator[Database]:
    database = Database(path / "store")
    try:
        yield database
    finally:
        database.sync()
        database.close()


class WithoutCheckpoint:
    """A database as a start sees it that finds no checkpoint."""

    def __init__(self, database: Database) -> None:
        self.scan = database.scan
        self._get = database.get

    def get(self, key: bytes) -> bytes | None:
        return None if key == CHECKPOINT else self._get(key)


def scanned(path: Path) -> LoadedIndex:
    """Reads all entries of a copy, so that the store finds its log as the last process left it."""
    copy = path / "copy"
    shutil.copytree(path / "store", copy / "store")
    with opened(copy) as database:
        kv: KeyValue = WithoutCheckpoint(database)
        index = load_index(kv)
        replayed = load_index(database, compared_entries=0)
    shutil.rmtree(copy)
    if replayed.checkpoint_sequence:
        assert replayed.counts == index.counts
        assert replayed.tree.leaves() == index.tree.leaves()
    return index


async def write(node: StoreNode, rng: random.Random, count: int) -> None:
    for _ in range(count):
        collection, document = rng.choice("ab"), f"d{rng.randrange(300)}"
        with contextlib.suppress(AskFailed):  # a deletion of what is not there
            if rng.random() < 0.3:
                await node.put(collection, document, b"", WriteKind.DELETE)
            else:
                await node.put(collection, document, b'{"n":%d}' % rng.randrange(9))


async def check_start(path: Path) -> StoreReply:
    """Starts the store, and compares it with a reading of all entries."""
    expected = scanned(path)
    async with store_in(path) as node:
        assert node.store.problems == {}
        found: StoreReply = await node.ask(GetStore())
    assert found.root == expected.tree.root
    assert found.sequence == expected.sequence
    assert found.documents == expected.counts.documents
    assert found.tombstones == expected.counts.tombstones
    return found


async def test_a_kill_an_orderly_stop_and_a_lost_or_wrong_checkpoint(
    tmp_path: Path, rng: random.Random
) -> None:
    async with store_in(tmp_path) as node:
        await write(node, rng, 600)  # so many that a replay reads single buckets
        last: StoreReply = await node.ask(GetStore())
    with opened(tmp_path) as database:
        checkpoint = decode_checkpoint(database.get(CHECKPOINT) or b"")
        flushed = database.get(FLUSHED)
    assert checkpoint.sequence == last.sequence
    assert flushed == number(last.sequence)
    assert (await check_start(tmp_path)).root == last.root

    node = StoreNode(tmp_path, restarts=False, engine=False)
    async with node:
        writing = asyncio.create_task(write(node, rng, 10_000))
        while (await node.ask(GetStore())).sequence < last.sequence + 40:
            await asyncio.sleep(0)
        node.store.kill()
        with contextlib.suppress(LinkLost):
            await writing
        await node.store.wait_ended()
    assert scanned(tmp_path).sequence >= last.sequence + 40
    killed = await check_start(tmp_path)
    assert killed.root != last.root

    with opened(tmp_path) as database:
        database.write([(CHECKPOINT, None)])
    assert (await check_start(tmp_path)).root == killed.root

    with opened(tmp_path) as database:
        kept = bytearray(database.get(CHECKPOINT) or b"")
        kept[rng.randrange(len(kept))] ^= 1 << rng.randrange(8)
        database.write([(CHECKPOINT, bytes(kept))])
    assert (await check_start(tmp_path)).root == killed.root
    with opened(tmp_path) as database:
        assert decode_checkpoint(database.get(CHECKPOINT) or b"").sequence == killed.sequence


async def test_a_hole_in_the_feed_is_repaired_and_reported(
    tmp_path: Path, rng: random.Random
) -> None:
    async with store_in(tmp_path) as node:
        await write(node, rng, 30)
    with opened(tmp_path) as database:
        checkpoint = database.get(CHECKPOINT)
    async with store_in(tmp_path) as node:
        await write(node, rng, 30)
        last: StoreReply = await node.ask(GetStore())
    with opened(tmp_path) as database:
        hole = last.sequence - 3
        database.write([(FEED + number(hole), None), (CHECKPOINT, checkpoint)])
    async with store_in(tmp_path) as node:
        problem = node.store.problems["mended"]
        assert f"the changes {hole} to {hole} are missing" in problem.message
        found: StoreReply = await node.ask(GetStore())
        assert (found.root, found.documents) == (last.root, last.documents)
        assert found.oldest_sequence > last.sequence
    await check_start(tmp_path)
