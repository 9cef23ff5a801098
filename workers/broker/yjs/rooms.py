"""The rooms of this process: its open documents, their members, and the streams that all rooms share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from peatnode.errors import AskFailed
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.messages import (
    ChangesSeen,
    FeedGap,
    FollowChanges,
    GetStore,
    ReadState,
)
from peatnode.model.feed import CONFLICT, FeedRestarted
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.awareness import EMPTY_AWARENESS
from workers.broker.yjs.exchange import AwarenessExchange
from workers.broker.yjs.outbox import CONTRADICTED, DELETED, RESYNC, SHUTTING_DOWN
from workers.broker.yjs.presence import Name
from workers.broker.yjs.room import Room, RoomMember, new_process_id
from workers.broker.yjs.wire import encode_awareness

SWEEP_SECONDS = 3.0
"""Interval of the search for expired awareness states (as in y-protocols)."""

QUIET_SWEEPS = 4
"""A client that has received nothing for this many sweeps gets an empty message: after 30 s of silence
y-websocket closes the connection."""

KEEP_ALIVE = encode_awareness(EMPTY_AWARENESS)


class Rooms:
    """Opens a room with the first client of a document, and closes it with the last."""

    def __init__(
        self, store: WorkerClient, sync: WorkerClient, count_dropped: Callable[[str], None]
    ) -> None:
        """`count_dropped` is called with the reason for which awareness was dropped."""
        self._store = store
        self._rooms: dict[Name, Room] = {}
        self.awareness = AwarenessExchange(
            sync, self._rooms.get, count_dropped, on_states=self._plan_sweep
        )
        self._process = new_process_id()
        self._position = -1
        """All rooms have received every change up to this sequence. Negative: the feed is not followed."""
        self._following: asyncio.Task[None] | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self.is_closed = False

    @property
    def member_count(self) -> int:
        return sum(len(room.members) for room in self._rooms.values())

    def new_member(self) -> RoomMember:
        return RoomMember(self._process)

    async def enter(self, collection: str, doc_id: str, member: RoomMember) -> Room:
        """Adds the member to the room of a document. Raises HttpProblem if the store does not answer."""
        self._plan_sweep()
        room = self._rooms.get((collection, doc_id))
        if room is None:
            fresh = Room(collection, doc_id, await self._followed_incarnation(collection, doc_id))
            room = self._rooms.setdefault((collection, doc_id), fresh)
        room.members.add(member)
        if self.is_closed:
            member.outbox.close(SHUTTING_DOWN)
        return room

    def leave(self, room: Room, member: RoomMember) -> None:
        """Removes a member, and its awareness states here and on the other nodes."""
        room.members.discard(member)
        self.awareness.leave(room, member)
        if not room.members:
            self._drop(room)

    def retire(self, room: Room) -> None:
        """Closes a room whose incarnation has ended. Later clients of the document get another room."""
        room.close(DELETED)
        self._drop(room)

    def _drop(self, room: Room) -> None:
        if self._rooms.get(room.name) is room:
            del self._rooms[room.name]
        if not self._rooms and self._following is not None:
            self._following.cancel()
            self._following = None

    # --- changes

    async def _followed_incarnation(self, collection: str, doc_id: str) -> int:
        """The incarnation of the document, read while the feed is followed, so that no change is missed."""
        while True:
            following = self._following or await self._follow()
            state = await self._store.ask_retrying(ReadState(collection, doc_id, b""))
            if self._following is following:
                return state.incarnation

    async def _follow(self) -> asyncio.Task[None]:
        store = await self._store.ask_retrying(GetStore())
        if self._following is None:
            follower = ChangeFollower(self._store, FollowChanges(-1, with_update=True))
            follower.begin(store)
            self._position = store.sequence
            self._following = asyncio.create_task(self._follow_changes(follower))
        return self._following

    async def _follow_changes(self, follower: ChangeFollower) -> None:
        try:
            async with contextlib.aclosing(follower.events()) as events:
                async for event in events:
                    match event:
                        case ChangesSeen():
                            self._changes_seen(event)
                        case FeedGap() | FeedRestarted():
                            self._resync(event.upto)
        except (AskFailed, MemoryError):
            self._following = None
            self._resync(-1)

    def _resync(self, upto: int) -> None:
        for room in self._rooms.values():
            room.close(RESYNC)
        self._position = upto

    def _changes_seen(self, seen: ChangesSeen) -> None:
        if len(seen.changes) != seen.upto - self._position:
            # the store read them from disk, where the last change of a document replaces earlier ones
            for room in self._rooms.values():
                room.has_skipped_changes = True
        for change in seen.changes:
            changed = self._rooms.get((change.collection, change.id))
            if changed is None:
                continue
            if changed.is_ended_by(change):
                self.retire(changed)
            elif change.origin == CONFLICT:
                changed.close(CONTRADICTED)
                self._drop(changed)
            else:
                changed.change_seen(change)
        self._position = seen.upto

    # --- the periodic sweep

    def _plan_sweep(self) -> None:
        if self._sweeping is None and not self.is_closed:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self.awareness.remove_expired()
        for room in self._rooms.values():
            for member in room.members:
                member.outbox.quiet_sweeps += 1
                if member.outbox.quiet_sweeps >= QUIET_SWEEPS:
                    member.outbox.put(KEEP_ALIVE)
        if self._rooms or not self.awareness.presence.is_empty:
            self._plan_sweep()

    def close(self) -> None:
        """Closes every session because the node stops."""
        self.is_closed = True
        for room in self._rooms.values():
            room.close(SHUTTING_DOWN)
        self.awareness.close()
        if self._following is not None:
            self._following.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
