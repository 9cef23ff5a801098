"""The session of one Yjs client: a y-websocket connection from handshake to close."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

from peatnode.api.failures import HttpProblem
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.yjs.state_vector import StateVector, decode_state_vector
from peatnode.errors import MalformedUpdate
from peatnode.ipc.messages import ReadState, StateReply
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.awareness import encode_states
from workers.broker.yjs.outbox import DELETED, RESYNC, SessionClose, SessionEnded, malformed
from workers.broker.yjs.room import Room
from workers.broker.yjs.rooms import Rooms
from workers.broker.yjs.wire import (
    EMPTY_UPDATE,
    AwarenessMessage,
    QueryAwareness,
    Received,
    SyncStep1,
    SyncUpdate,
    Unknown,
    decode,
    encode_awareness,
    encode_permission_denied,
    encode_step_1,
    encode_step_2,
)
from workers.broker.yjs.writer import BatchResult, ClientWriter

CLOSE_SECONDS = 5.0
"""Time for the last changes of a client to reach the disk, and for the last messages to reach the client."""

READER = "reader"
"""The reason for which the awareness of a reader is dropped."""

NOTHING_KNOWN = b"\x00"
"""The state vector of an empty document."""


class Socket(Protocol):
    """The part of a WebSocket that a session uses."""

    async def receive_data(self) -> bytes:
        """The next binary message. Raises SocketClosed, MalformedUpdate."""

    async def send_data(self, payload: bytes) -> None:
        """Raises SocketClosed."""

    async def close(self, code: int, reason: str) -> None:
        """Raises SocketClosed."""


class SocketClosed(Exception):
    """The connection has ended. The adapter of the WebSocket raises it."""


class YjsSession:
    """Serves one client. If `may_write` is false, its writes and its awareness are dropped."""

    def __init__(self, store: WorkerClient, rooms: Rooms, socket: Socket, may_write: bool) -> None:
        self._store = store
        self._rooms = rooms
        self._socket = socket
        self._may_write = may_write
        self._member = rooms.new_member()
        self._outbox = self._member.outbox
        self._is_synced = False
        """Whether its first step 1 has been answered."""

    async def serve(self, collection: str, doc_id: str) -> None:
        """Serves the client until either side closes the session."""
        try:
            room = await self._rooms.enter(collection, doc_id, self._member)
        except HttpProblem as problem:
            await self._close(_close_for(problem))
            return
        try:
            await self._serve(room)
        finally:
            self._rooms.leave(room, self._member)

    async def _serve(self, room: Room) -> None:
        self._room = room
        self._writer = ClientWriter(self._store, room, self._member.origin)
        self._send_initial_states()
        sending = asyncio.create_task(self._send())
        receiving = asyncio.create_task(self._receive())
        writing = asyncio.create_task(self._write())
        tasks = (sending, receiving, writing)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ending = next(filter(None, map(_close_of, tasks)), None)
            receiving.cancel()
            await self._finish_writing(writing)
            if ending is not None:
                self._outbox.close(ending)
                await asyncio.wait((sending,), timeout=CLOSE_SECONDS)
        finally:
            for task in tasks:
                task.cancel()

    async def _finish_writing(self, writing: asyncio.Task[None]) -> None:
        """Waits for the last changes: a client may disconnect right after them."""
        if not writing.done():
            written = asyncio.create_task(self._writer.wait_written())
            await asyncio.wait(
                (writing, written),
                timeout=CLOSE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            written.cancel()

    # --- to the client

    def _send_initial_states(self) -> None:
        present = self._rooms.awareness.presence.present(self._room.name)
        if present:
            self._outbox.put(encode_awareness(encode_states(present)))
        if not self._may_write:
            self._outbox.put(encode_permission_denied("read-only"))

    async def _send(self) -> None:
        while True:
            message = await self._outbox.next()
            if isinstance(message, SessionClose):
                await self._close(message)
                return
            await self._socket.send_data(message)

    async def _close(self, close: SessionClose) -> None:
        with contextlib.suppress(SocketClosed):
            await self._socket.close(close.code, close.reason[:120])

    # --- from the client

    async def _receive(self) -> None:
        while True:
            await self._handle(decode(await self._socket.receive_data()))

    async def _handle(self, message: Received) -> None:
        match message:
            case SyncStep1(state_vector):
                await self._answer_step_1(state_vector)
            case SyncUpdate(update):
                if self._may_write and update != EMPTY_UPDATE:
                    await self._writer.put(update)
            case AwarenessMessage(payload):
                if self._may_write:
                    self._rooms.awareness.receive(self._room, self._member, payload)
                else:
                    self._rooms.awareness.count_dropped(READER)
            case QueryAwareness():
                present = self._rooms.awareness.presence.present(self._room.name)
                self._outbox.put(encode_awareness(encode_states(present)))
            case Unknown():
                pass

    async def _answer_step_1(self, state_vector: bytes) -> None:
        known = decode_state_vector(state_vector, STATE_LIMITS)
        await self._outbox.wait_empty()
        state = await self._read_state(state_vector)
        if state.ended and _holds_ended(known, state):  # a copy from before a deletion
            raise SessionEnded(DELETED)
        self._outbox.put_answer(encode_step_2(state.update or EMPTY_UPDATE))
        if not self._is_synced:
            self._is_synced = True
            self._outbox.put(encode_step_1(state.state_vector))

    async def _write(self) -> None:
        while True:
            if await self._writer.write_next() is BatchResult.HAS_GAP:
                # an earlier change was lost: the client sends everything that the node lacks
                state = await self._read_state(NOTHING_KNOWN)
                self._outbox.put(encode_step_1(state.state_vector))

    async def _read_state(self, state_vector: bytes) -> StateReply:
        state = await self._store.ask_retrying(
            ReadState(self._room.collection, self._room.doc_id, state_vector)
        )
        if state.incarnation != self._room.incarnation:
            # a client that has received nothing of the old document may receive the new one
            ending = DELETED if self._is_synced else RESYNC
            self._outbox.close(ending)
            self._rooms.retire(self._room)
            raise SessionEnded(ending)
        return state


def _holds_ended(known: StateVector, state: StateReply) -> bool:
    """Whether a client has clocks of ended incarnations that are not those of the live one. The store checks each
    update for the same."""
    ended = decode_state_vector(state.ended, STATE_LIMITS)
    live = decode_state_vector(state.state_vector, STATE_LIMITS)
    return any(live.get(c, 0) < min(clock, ended.get(c, 0)) for c, clock in known.items())


def _close_of(task: asyncio.Task[None]) -> SessionClose | None:
    """The close for the task of a session that has ended; None: the client has closed, or it runs."""
    if not task.done() or task.cancelled():
        return None
    match task.exception():
        case None | SocketClosed():
            return None
        case SessionEnded() as ended:
            return ended.close
        case MalformedUpdate() as error:
            return malformed(str(error))
        case HttpProblem() as problem:
            return _close_for(problem)
        case error:
            raise error


def _close_for(problem: HttpProblem) -> SessionClose:
    """Code 1013 makes the client try again; after 4400 it gives up."""
    return (
        SessionClose(4400, problem.detail)
        if problem.status < 500
        else SessionClose(1013, problem.detail)
    )
