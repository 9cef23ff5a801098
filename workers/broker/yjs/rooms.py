"""The rooms of this process: its open documents, their members, and the streams that all rooms share."""

from __future__ import annotations

import asyncio
import contextlib

from peatnode.errors import AskFailed, LinkError, MalformedUpdate
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.messages import (
    AwarenessSeen,
    ChangesSeen,
    FeedGap,
    FollowAwareness,
    FollowChanges,
    GetStore,
    PublishAwareness,
    ReadState,
)
from peatnode.model.feed import CONFLICT, FeedRestarted
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.awareness import (
    EMPTY_AWARENESS,
    LEFT,
    ClientState,
    decode_states,
    encode_states,
)
from workers.broker.yjs.outbox import CONTRADICTED, DELETED, RESYNC, SHUTTING_DOWN
from workers.broker.yjs.presence import Name, Presence
from workers.broker.yjs.room import Room, RoomMember, new_process_id
from workers.broker.yjs.wire import encode_awareness

SWEEP_SECONDS = 3.0
"""Interval of the search for expired awareness states (as in y-protocols)."""

QUIET_SWEEPS = 4
"""A client that has received nothing for this many sweeps gets an empty message: after 30 s of silence
y-websocket closes the connection."""

MAX_PUBLISHING = 256
"""Awareness messages that wait for the sync worker. Beyond it they are dropped."""

AWARENESS_PAUSE_SECONDS = 0.5
"""Pause before the sync worker is followed again."""

KEEP_ALIVE = encode_awareness(EMPTY_AWARENESS)


class Rooms:
    """Opens a room with the first client of a document, and closes it with the last."""

    def __init__(self, store: WorkerClient, sync: WorkerClient) -> None:
        self._store = store
        self._sync = sync
        self._rooms: dict[Name, Room] = {}
        self._presence = Presence()
        self._process = new_process_id()
        self._position = -1
        """All rooms have received every change up to this sequence. Negative: the feed is not followed."""
        self._following: asyncio.Task[None] | None = None
        self._following_awareness = asyncio.get_running_loop().create_task(self._follow_awareness())
        self._publishing: set[asyncio.Task[None]] = set()
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
        leaving = self._presence.remove(room.name, member.clients, self._now())
        if leaving:
            self._broadcast_states(room.name, leaving)
            self._publish_states(room.name, encode_states(leaving))
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

    # --- awareness

    def present(self, room: Room) -> list[ClientState]:
        return self._presence.present(room.name)

    def receive_awareness(self, room: Room, member: RoomMember, payload: bytes) -> None:
        """Applies the states that a client sent, and forwards them. Raises MalformedUpdate."""
        states = decode_states(payload)
        changed = self._presence.apply(room.name, states, self._now())
        removals = self._presence.removals_of(room.name, states)
        if removals:
            member.outbox.put(encode_awareness(encode_states(removals)))
        if not changed:  # clients send back the states that they receive
            return
        removed = [state.client for state in changed if state.state == LEFT]
        room.assign_clients(member, [state.client for state in changed], removed)
        encoded = encode_states(changed)
        room.broadcast(encode_awareness(encoded), excluded=member.origin)
        self._publish_states(room.name, encoded)
        self._plan_sweep()

    def _broadcast_states(self, name: Name, states: list[ClientState]) -> None:
        room = self._rooms.get(name)
        if room is not None:
            room.broadcast(encode_awareness(encode_states(states)))

    def _publish_states(self, name: Name, payload: bytes) -> None:
        """Sends states to the other nodes. A lost message is harmless: clients renew states every 15 s."""
        if len(self._publishing) < MAX_PUBLISHING:
            task = asyncio.create_task(self._publish(PublishAwareness(*name, payload)))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def _publish(self, message: PublishAwareness) -> None:
        with contextlib.suppress(LinkError):
            await self._sync.send(message)

    async def _follow_awareness(self) -> None:
        while True:
            with contextlib.suppress(LinkError, MemoryError):
                async for event in self._sync.follow(FollowAwareness()):
                    self._awareness_seen(event)
            await asyncio.sleep(AWARENESS_PAUSE_SECONDS)

    def _awareness_seen(self, event: AwarenessSeen) -> None:
        try:
            states = decode_states(event.payload)
        except MalformedUpdate:  # the other node has checked it, but its version may be newer
            return
        name = (event.collection, event.id)
        changed = self._presence.apply(name, states, self._now())
        if changed:
            self._broadcast_states(name, changed)
            self._plan_sweep()

    # --- the periodic sweep

    def _plan_sweep(self) -> None:
        if self._sweeping is None and not self.is_closed:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self._presence.remove_expired(self._now(), self._broadcast_states)
        for room in self._rooms.values():
            for member in room.members:
                member.outbox.quiet_sweeps += 1
                if member.outbox.quiet_sweeps >= QUIET_SWEEPS:
                    member.outbox.put(KEEP_ALIVE)
        if self._rooms or not self._presence.is_empty:
            self._plan_sweep()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def close(self) -> None:
        """Closes every session because the node stops."""
        self.is_closed = True
        for room in self._rooms.values():
            room.close(SHUTTING_DOWN)
        for task in (self._following, self._following_awareness, *self._publishing):
            if task is not None:
                task.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
