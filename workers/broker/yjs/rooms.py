"""Rooms: the clients of this process that have one document open, and the one stream of its changes they share."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from peatnode.errors import LinkError, MalformedUpdate
from peatnode.ipc.messages import (
    AwarenessSeen,
    Change,
    ChangesSeen,
    FeedGap,
    FollowAwareness,
    FollowChanges,
    PublishAwareness,
    ReadState,
    StateReply,
)
from workers.broker.upstream import PAUSE_SECONDS, Upstream
from workers.broker.yjs.awareness import AwarenessStates, ClientState, decode_states, encode_states
from workers.broker.yjs.outbox import DELETED, RESYNC, SHUTTING_DOWN, Close, Outbox
from workers.broker.yjs.wire import encode_awareness, encode_update

SWEEP_SECONDS = 5.0
"""How often the silent are looked for."""

AWARENESS_SECONDS = 1.0
"""How long awareness waits for the sync worker."""

_session_numbers = itertools.count(1)


class Session:
    """One client in one room."""

    def __init__(self) -> None:
        self.origin = f"client:{next(_session_numbers)}"
        """Marks the changes it made, so that they are not sent back to it."""
        self.outbox = Outbox()
        self.clients: set[int] = set()
        """Yjs client ids that it has spoken for."""


class Room:
    """The sessions of one document."""

    def __init__(self, collection: str, doc_id: str, state: StateReply) -> None:
        self.collection = collection
        self.doc_id = doc_id
        self.incarnation = state.incarnation
        self.sequence = state.sequence
        self.sessions: set[Session] = set()
        self.awareness = AwarenessStates()
        self.following: asyncio.Task[None] | None = None

    def broadcast(self, message: bytes, but: str = "") -> None:
        for session in self.sessions:
            if session.origin != but:
                session.outbox.put(message)

    def close(self, close: Close) -> None:
        for session in self.sessions:
            session.outbox.close(close)

    def change_seen(self, change: Change) -> None:
        """A change of the document is on disk."""
        if change.action == "deleted" or change.incarnation > self.incarnation:
            self.close(DELETED)
        elif change.incarnation == self.incarnation and change.update:
            self.broadcast(encode_update(change.update), but=change.origin)

    def awareness_seen(self, states: list[ClientState], now: float, but: str = "") -> bytes:
        """Takes the news and tells the sessions; returns it encoded, empty when there is none."""
        news = self.awareness.apply(states, now)
        if not news:
            return b""
        payload = encode_states(news)
        self.broadcast(encode_awareness(payload), but=but)
        return payload

    def forget_silent(self, now: float) -> None:
        gone = self.awareness.forget_silent(now)
        if gone:
            self.broadcast(encode_awareness(encode_states(gone)))


class Rooms:
    """All rooms of this process. Opens one with the first client of a document, closes it with the last."""

    def __init__(self, store: Upstream, sync: Upstream) -> None:
        self._store = store
        self._sync = sync
        self._rooms: dict[tuple[str, str], Room] = {}
        self._opening: dict[tuple[str, str], asyncio.Future[Room]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self.is_closed = False

    @property
    def session_count(self) -> int:
        return sum(len(room.sessions) for room in self._rooms.values())

    async def enter(self, collection: str, doc_id: str, session: Session) -> Room:
        """Raises Problem where the store does not know the document's name or does not answer."""
        if not self._background:
            self._start()
        room = await self._room(collection, doc_id)
        room.sessions.add(session)
        if self.is_closed:
            session.outbox.close(SHUTTING_DOWN)
        return room

    async def _room(self, collection: str, doc_id: str) -> Room:
        key = (collection, doc_id)
        if key in self._rooms:
            return self._rooms[key]
        opening = self._opening.get(key)
        if opening is None:
            opening = asyncio.ensure_future(self._open(collection, doc_id))
            self._opening[key] = opening
            opening.add_done_callback(lambda _: self._opening.pop(key, None))
        return await asyncio.shield(opening)

    async def _open(self, collection: str, doc_id: str) -> Room:
        state = await self._store.read(ReadState(collection, doc_id, b""))
        room = Room(collection, doc_id, state)
        self._rooms[collection, doc_id] = room
        room.following = asyncio.create_task(self._follow_document(room))
        return room

    async def leave(self, room: Room, session: Session) -> None:
        """The client's states go with it, here and on the other nodes."""
        room.sessions.discard(session)
        now = asyncio.get_running_loop().time()
        leaving = room.awareness.remove(session.clients, now)
        if leaving:
            payload = encode_states(leaving)
            room.broadcast(encode_awareness(payload))
            await self._tell_peers(room, payload)
        if not room.sessions and self._rooms.get((room.collection, room.doc_id)) is room:
            del self._rooms[room.collection, room.doc_id]
            if room.following is not None:
                room.following.cancel()

    async def say_awareness(self, room: Room, session: Session, payload: bytes) -> None:
        """A client's states, for the others in the room and on the other nodes. Raises MalformedUpdate."""
        states = decode_states(payload)
        session.clients.update(state.client for state in states)
        news = room.awareness_seen(states, asyncio.get_running_loop().time(), but=session.origin)
        if news:
            await self._tell_peers(room, news)

    async def _tell_peers(self, room: Room, payload: bytes) -> None:
        with contextlib.suppress(
            LinkError
        ):  # awareness is renewed every 15 s: what is lost comes again
            message = PublishAwareness(room.collection, room.doc_id, payload)
            await asyncio.wait_for(self._sync.tell(message), AWARENESS_SECONDS)

    def _start(self) -> None:
        for work in (self._follow_awareness(), self._sweep()):
            self._background.add(asyncio.create_task(work))

    async def _follow_document(self, room: Room) -> None:
        """Tells the room of every change; across restarts of the store, from where it was."""
        while True:
            request = FollowChanges(
                room.sequence, collection=room.collection, id=room.doc_id, with_update=True
            )
            with contextlib.suppress(LinkError):
                async for event in self._store.follow(request):
                    match event:
                        case ChangesSeen():
                            for change in event.changes:
                                room.change_seen(change)
                            room.sequence = event.upto
                        case FeedGap():
                            room.close(RESYNC)
                            room.sequence = event.upto
            await asyncio.sleep(PAUSE_SECONDS)

    async def _follow_awareness(self) -> None:
        while True:
            with contextlib.suppress(LinkError):
                async for event in self._sync.follow(FollowAwareness()):
                    self._awareness_from_peer(event)
            await asyncio.sleep(PAUSE_SECONDS)

    def _awareness_from_peer(self, event: AwarenessSeen) -> None:
        room = self._rooms.get((event.collection, event.id))
        if room is None:
            return
        with contextlib.suppress(
            MalformedUpdate
        ):  # its node checked it; a newer version may differ
            now = asyncio.get_running_loop().time()
            room.awareness_seen(decode_states(event.payload), now)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for room in self._rooms.values():
                room.forget_silent(now)

    def close(self) -> None:
        """Tells every client that the node stops."""
        self.is_closed = True
        for room in self._rooms.values():
            room.close(SHUTTING_DOWN)
        for task in self._background:
            task.cancel()
