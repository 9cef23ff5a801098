"""Rooms: the documents that are open in this process, their members, and the stream of changes that they share."""

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
from peatnode.model.feed import FeedRestarted
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.awareness import (
    EMPTY_AWARENESS,
    NOBODY,
    ClientState,
    decode_states,
    encode_states,
)
from workers.broker.yjs.outbox import DELETED, RESYNC, SHUTTING_DOWN
from workers.broker.yjs.presence import Name, Presence
from workers.broker.yjs.room import Room, RoomMember, process_mark
from workers.broker.yjs.wire import encode_awareness

SWEEP_SECONDS = 3.0
"""How often the silent are looked for (as in y-protocols)."""

QUIET_SWEEPS = 4
"""After so many a client hears something of us: after 30 s of silence y-websocket takes the connection for dead."""

MAX_TELLING = 256
"""Awareness messages that wait for the sync worker; beyond it they are dropped."""

AWARENESS_PAUSE_SECONDS = 0.5
"""Before the sync worker is followed again."""

SETTLED = encode_awareness(EMPTY_AWARENESS)


class Rooms:
    """All rooms of this process. Opens one with the first client of a document, closes it with the last."""

    def __init__(self, store: WorkerClient, sync: WorkerClient) -> None:
        self._store = store
        self._sync = sync
        self._rooms: dict[Name, Room] = {}
        self._presence = Presence()
        self._process = process_mark()
        self._position = -1
        """All rooms have received every change up to this sequence; negative while the feed is not followed."""
        self._following: asyncio.Task[None] | None = None
        self._listening = asyncio.get_running_loop().create_task(self._follow_awareness())
        self._telling: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.TimerHandle | None = None
        self.is_closed = False

    @property
    def member_count(self) -> int:
        return sum(len(room.members) for room in self._rooms.values())

    def new_member(self) -> RoomMember:
        return RoomMember(self._process)

    async def enter(self, collection: str, doc_id: str, member: RoomMember) -> Room:
        """Raises HttpProblem where the store does not take the document's name or does not answer."""
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
        """The client's states go with it, here and on the other nodes."""
        room.members.discard(member)
        leaving = self._presence.remove(room.name, member.clients, self._now())
        if leaving:
            self._tell(room.name, leaving)
            self._tell_peers(room.name, encode_states(leaving))
        if not room.members:
            self._drop(room)

    def retire(self, room: Room) -> None:
        """Its incarnation has ended: a client that opens the document now gets another room."""
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
        """The document's incarnation, read while the feed is followed: no later change of it is missed."""
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
        except AskFailed:
            self._following = None
            self._resync(-1)

    def _resync(self, upto: int) -> None:
        for room in self._rooms.values():
            room.close(RESYNC)
        self._position = upto

    def _changes_seen(self, seen: ChangesSeen) -> None:
        if len(seen.changes) != seen.upto - self._position:
            # read from disk, where one change of a document stands for others too
            for room in self._rooms.values():
                room.has_missed = True
        for change in seen.changes:
            concerned = self._rooms.get((change.collection, change.id))
            if concerned is None:
                continue
            if concerned.ends_with(change):
                self.retire(concerned)
            else:
                concerned.change_seen(change)
        self._position = seen.upto

    # --- awareness

    def present(self, room: Room) -> list[ClientState]:
        return self._presence.present(room.name)

    def say_awareness(self, room: Room, member: RoomMember, payload: bytes) -> None:
        """A client's states, for the others in the room and on the other nodes. Raises MalformedUpdate."""
        states = decode_states(payload)
        news = self._presence.apply(room.name, states, self._now())
        overruled = self._presence.farewells(room.name, states)
        if overruled:
            member.outbox.put(encode_awareness(encode_states(overruled)))
        if not news:  # clients send back what they hear
            return
        gone = [state.client for state in news if state.state == NOBODY]
        room.speaks_for(member, [state.client for state in news], gone)
        encoded = encode_states(news)
        room.broadcast(encode_awareness(encoded), but=member.origin)
        self._tell_peers(room.name, encoded)
        self._plan_sweep()

    def _tell(self, name: Name, states: list[ClientState]) -> None:
        room = self._rooms.get(name)
        if room is not None:
            room.broadcast(encode_awareness(encode_states(states)))

    def _tell_peers(self, name: Name, payload: bytes) -> None:
        """Awareness is renewed every 15 s: what is lost now comes again."""
        if len(self._telling) < MAX_TELLING:
            task = asyncio.create_task(self._publish(PublishAwareness(*name, payload)))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _publish(self, message: PublishAwareness) -> None:
        with contextlib.suppress(LinkError):
            await self._sync.send(message)

    async def _follow_awareness(self) -> None:
        while True:
            with contextlib.suppress(LinkError):
                async for event in self._sync.follow(FollowAwareness()):
                    self._awareness_seen(event)
            await asyncio.sleep(AWARENESS_PAUSE_SECONDS)

    def _awareness_seen(self, event: AwarenessSeen) -> None:
        try:
            states = decode_states(event.payload)
        except MalformedUpdate:  # its node checked it; a newer version may differ
            return
        name = (event.collection, event.id)
        news = self._presence.apply(name, states, self._now())
        if news:
            self._tell(name, news)
            self._plan_sweep()

    # --- what happens by itself

    def _plan_sweep(self) -> None:
        if self._sweeping is None and not self.is_closed:
            loop = asyncio.get_running_loop()
            self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self._presence.forget_silent(self._now(), self._tell)
        for room in self._rooms.values():
            for member in room.members:
                member.outbox.quiet_sweeps += 1
                if member.outbox.quiet_sweeps >= QUIET_SWEEPS:
                    member.outbox.put(SETTLED)
        if self._rooms or not self._presence.is_empty:
            self._plan_sweep()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def close(self) -> None:
        """Tells every client that the node stops."""
        self.is_closed = True
        for room in self._rooms.values():
            room.close(SHUTTING_DOWN)
        for task in (self._following, self._listening, *self._telling):
            if task is not None:
                task.cancel()
        if self._sweeping is not None:
            self._sweeping.cancel()
