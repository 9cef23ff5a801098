"""The sync worker's link to a store, over a real socket."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
import structlog

from peatnode.ipc.messages import GetStore
from peatnode.model.feed import ChangesSeen, FeedGap, FeedRestarted
from peatnode.model.sync import ReadTree
from peatnode.protocol.sync import events
from tests.support.store_node import StoreNode
from tests.support.sync_mesh import FakeStore
from tests.support.waiting import until
from workers.sync.feed_watchdog import FeedWatchdog
from workers.sync.store_link import StoreLink


async def test_a_feed_that_stays_mute_is_passed_over(tmp_path: Path) -> None:
    """Reopened, it is still mute: anti-entropy brings what it holds back, and pushes continue after it."""
    store = FakeStore(tmp_path / "store.sock")
    await store.start()
    heard: list[events.Event] = []
    link = StoreLink(
        tmp_path / "store.sock",
        heard.append,
        structlog.get_logger(),
        FeedWatchdog(stuck_seconds=0.01),
    )
    following = asyncio.create_task(link.follow())
    await until(lambda: link.upto == 0)
    store.is_mute = True
    store.write("notes", "held back")

    def has_skipped() -> bool:
        link.start_question(1, ReadTree(0, (0,)))
        return FeedGap(0, 1) in heard

    await until(has_skipped)
    assert link.upto == 1
    store.is_mute = False
    store.write("notes", "after it")
    await until(lambda: link.upto == 2)
    seen = [event for event in heard if isinstance(event, ChangesSeen)]
    assert [c.id for event in seen for c in event.changes] == ["after it"]
    following.cancel()
    await link.close()
    await store.close()


@pytest.mark.parametrize("rewritten", [0, 2, 3, 5], ids=["empty", "behind", "equal", "passed"])
async def test_a_store_that_came_back_without_its_files(tmp_path: Path, rewritten: int) -> None:
    """Its sequences start again at 0: a position in the old feed is invalid, whatever sequence the new one has."""
    heard: list[events.Event] = []

    async with StoreNode(tmp_path, restarts=False) as node:
        link = StoreLink(node.run_dir / "store.sock", heard.append, structlog.get_logger())
        following = asyncio.create_task(link.follow())
        await until(lambda: link.upto == 0)
        for number in range(3):
            await node.put("c", f"old{number}", b"{}")
        await until(lambda: link.upto == 3)
        (opened,) = [event for event in heard if isinstance(event, events.FeedOpened)]
        assert heard[0] == opened == events.FeedOpened(await generation_of(node))
        following.cancel()
        node.store.kill()
        await node.store.wait_ended()
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        node.store.start()
        await node.store.wait_ready()
        for number in range(rewritten):
            await node.put("c", f"new{number}", b"{}")
        heard.clear()
        following = asyncio.create_task(link.follow())
        await until(lambda: FeedRestarted(3, rewritten) in heard)
        assert heard[heard.index(FeedRestarted(3, rewritten)) - 1] == events.FeedOpened(
            await generation_of(node)
        )
        written = await node.put("c", "named", b"{}")
        assert events.FeedOpened(written.generation) in heard
        assert opened.generation != written.generation
        await node.put("c", "after", b"{}")
        await until(lambda: link.upto == rewritten + 2)
        following.cancel()
        await link.close()
    seen = [event for event in heard if isinstance(event, ChangesSeen)]
    assert [change.id for event in seen for change in event.changes] == ["named", "after"]


async def generation_of(node: StoreNode) -> int:
    return int((await node.ask(GetStore())).generation)


async def test_a_store_that_only_restarted_goes_on(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    async with StoreNode(tmp_path) as node:
        link = StoreLink(node.run_dir / "store.sock", heard.append, structlog.get_logger())
        following = asyncio.create_task(link.follow())
        await until(lambda: link.upto == 0)
        await node.put("c", "before", b"{}")
        await until(lambda: link.upto == 1)
        node.store.kill()
        await node.store.wait_ready()
        await node.put("c", "after", b"{}")
        await until(lambda: link.upto == 2)
        following.cancel()
        await link.close()
    assert events.StoreLost() in heard
    seen = [event for event in heard if isinstance(event, ChangesSeen)]
    assert [change.id for event in seen for change in event.changes] == ["before", "after"]
    assert not any(isinstance(event, FeedGap | FeedRestarted) for event in heard)
