import asyncio

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.update import decode_update
from peatnode.ipc.messages import FollowChanges, Message
from tests.support.memory_kv import MemoryKeyValue, commit
from tests.support.waiting import until
from workers.store.feed import Feed
from workers.store.feed_reader import FeedReader

KEY = document_key("c", "one")


def set_field(replica: Replica, clock: int) -> None:
    target = {f"field-{clock}": clock}
    update = root_maps.change(root_maps.NO_ROOT_MAPS, plan(Shape(), target), 1, clock)
    replica.write(KEY, update, dump(target))


def test_what_is_told_from_disk_holds_all_that_is_skipped() -> None:
    """Also while a later change is written but not synced yet: followers receive that one from memory, by itself."""
    replica = Replica(MemoryKeyValue(), 1)
    for clock in range(3):
        set_field(replica, clock)
        commit(replica)
    set_field(replica, 3)
    replica.kv.write(replica.take_batch())  # type: ignore[attr-defined]
    changes, cursor = FeedReader(replica).read(0, FollowChanges(0, with_update=True))
    assert cursor == 3
    assert len(changes) == 1
    assert decode_update(changes[0].update).state_vector()[1] >= 3


class Heard:
    """A connection of one follower."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def wait_writable(self) -> None:
        pass

    def reply(self, cause: int, message: Message) -> None:
        self.messages.append(message)


async def no_large_value(key: bytes, record: Record, sequence: int) -> None:
    raise AssertionError("no document is large")


async def test_what_is_read_from_disk_during_a_sync_is_sent_after_it() -> None:
    """It may hold a change that is written and not synced: the sync may fail, and then nobody may have seen it."""
    replica = Replica(MemoryKeyValue(), 1)
    set_field(replica, 0)
    commit(replica)
    set_field(replica, 1)
    replica.kv.write(replica.take_batch())  # type: ignore[attr-defined]
    is_synced = asyncio.Event()
    syncing = asyncio.create_task(is_synced.wait())
    feed = Feed(
        replica,
        lambda error: None,
        lambda: syncing,  # type: ignore[arg-type,return-value]
        no_large_value,
    )
    heard = Heard()
    serving = asyncio.create_task(feed.serve(heard, 1, FollowChanges(0, with_update=True)))  # type: ignore[arg-type]
    for _ in range(10):
        await asyncio.sleep(0)
    assert heard.messages == []
    is_synced.set()
    await until(lambda: bool(heard.messages))
    serving.cancel()
