"""The sync worker's link to a store, over a real socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from peatnode.model.feed import ChangesSeen, FeedGap
from peatnode.model.sync import ReadTree
from peatnode.protocol.sync import events
from peatnode.protocol.sync.feed_watchdog import FeedWatchdog
from tests.support.sync_mesh import FakeStore, until
from workers.sync.store_link import StoreLink


async def test_a_feed_that_stays_mute_is_passed_over(tmp_path: Path) -> None:
    """Opened anew it is mute still: what it holds back is left to anti-entropy, and pushing goes on after it."""
    store = FakeStore(tmp_path / "store.sock")
    await store.start()
    heard: list[events.Event] = []
    link = StoreLink(
        tmp_path / "store.sock", heard.append, structlog.get_logger(), FeedWatchdog(patience=0.01)
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
