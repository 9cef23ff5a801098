"""One y-websocket connection, from handshake to close."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from peatnode.errors import MalformedUpdate
from peatnode.ipc.messages import ApplyUpdates, DocumentUpdate, Outcome, ReadState, StateReply
from workers.broker.problems import Problem
from workers.broker.upstream import Upstream
from workers.broker.yjs.awareness import encode_states
from workers.broker.yjs.outbox import DELETED, Close
from workers.broker.yjs.rooms import Room, Rooms, Session
from workers.broker.yjs.wire import (
    EMPTY_UPDATE,
    Awareness,
    QueryAwareness,
    SyncStep1,
    SyncUpdate,
    Unknown,
    decode,
    encode_awareness,
    encode_permission_denied,
    encode_step_1,
    encode_step_2,
)


class Socket(Protocol):
    """The part of a WebSocket that a session uses."""

    async def receive_data(self) -> bytes:
        """The next binary message; raises when the client is gone."""

    async def send_data(self, payload: bytes) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class ClientGone(Exception):
    """The connection has ended; raised by the adapter around the WebSocket."""


class SessionEnded(Exception):
    """We end the session."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


class YjsSession:
    """Speaks with one client; `may_write` false: its writes are dropped."""

    def __init__(self, store: Upstream, rooms: Rooms, socket: Socket, may_write: bool) -> None:
        self._store = store
        self._rooms = rooms
        self._socket = socket
        self._may_write = may_write
        self._session = Session()

    async def serve(self, collection: str, doc_id: str) -> None:
        """Until either side ends it."""
        try:
            room = await self._rooms.enter(collection, doc_id, self._session)
        except Problem as problem:
            await self._close(Close(1008 if problem.status < 500 else 1013, problem.detail))
            return
        sending = asyncio.create_task(self._send(room))
        try:
            await self._greet(room)
            await self._receive(room)
        except SessionEnded as ended:
            self._session.outbox.close(ended.close)
            await sending
        except ClientGone:
            pass
        finally:
            sending.cancel()
            await self._rooms.leave(room, self._session)

    async def _send(self, room: Room) -> None:
        while True:
            message = await self._session.outbox.next()
            if isinstance(message, Close):
                await self._close(message)
                return
            try:
                await self._socket.send_data(message)
            except ClientGone:
                return

    async def _close(self, close: Close) -> None:
        with contextlib.suppress(ClientGone):
            await self._socket.close(close.code, close.reason[:120])

    async def _greet(self, room: Room) -> None:
        state = await self._read_state(room, b"")
        self._session.outbox.put(encode_step_1(state.state_vector))
        present = room.awareness.present()
        if present:
            self._session.outbox.put(encode_awareness(encode_states(present)))
        if not self._may_write:
            self._session.outbox.put(encode_permission_denied("read-only"))

    async def _receive(self, room: Room) -> None:
        while True:
            try:
                message = decode(await self._socket.receive_data())
                await self._handle(room, message)
            except MalformedUpdate as error:
                raise SessionEnded(Close(1007, f"Not a y-websocket message: {error}")) from None
            except Problem as problem:
                raise SessionEnded(Close(1013, problem.detail)) from None

    async def _handle(
        self,
        room: Room,
        message: SyncStep1 | SyncUpdate | Awareness | QueryAwareness | Unknown,
    ) -> None:
        match message:
            case SyncStep1(state_vector):
                state = await self._read_state(room, state_vector)
                self._session.outbox.put(encode_step_2(state.update or EMPTY_UPDATE))
            case SyncUpdate(update):
                if self._may_write and update != EMPTY_UPDATE:
                    await self._apply(room, update)
            case Awareness(payload):
                await self._rooms.say_awareness(room, self._session, payload)
            case QueryAwareness():
                self._session.outbox.put(encode_awareness(encode_states(room.awareness.present())))
            case Unknown():
                pass

    async def _read_state(self, room: Room, state_vector: bytes) -> StateReply:
        state = await self._store.read(ReadState(room.collection, room.doc_id, state_vector))
        if state.incarnation != room.incarnation:
            raise SessionEnded(DELETED)
        return state

    async def _apply(self, room: Room, update: bytes) -> None:
        """Returns when the change is on disk, so that a client that types faster than the disk is held back."""
        change = DocumentUpdate(room.collection, room.doc_id, room.incarnation, False, 0.0, update)
        reply = await self._store.read(ApplyUpdates((change,), self._session.origin))
        match reply.outcomes[0]:
            case Outcome.APPLIED | Outcome.KNOWN:
                pass
            case Outcome.STALE:
                raise SessionEnded(DELETED)
            case Outcome.REFUSED:
                raise SessionEnded(Close(1008, f"The change was refused: {reply.reasons[0]}"))
            case Outcome.GAP:
                # Something before it got lost on the way: the client is asked for all that we lack.
                state = await self._read_state(room, b"")
                self._session.outbox.put(encode_step_1(state.state_vector))
