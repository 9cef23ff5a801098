"""A minimal store for Yjs sessions, behind a real link."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from peatnode.errors import MalformedUpdate
from peatnode.ipc.link import Connection, serve
from peatnode.ipc.messages import (
    AppliedReply,
    ApplyUpdates,
    AwarenessSeen,
    Change,
    ChangesSeen,
    Failure,
    FeedGap,
    FollowAwareness,
    FollowChanges,
    GetStore,
    Message,
    Outcome,
    PublishAwareness,
    ReadState,
    StateReply,
    StoreReply,
)
from tests.support.waiting import until
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.rooms import Rooms
from workers.broker.yjs.session import SocketClosed, YjsSession


@dataclass
class Behind:
    """A stand-in for store and sync, whose answers a test sets by attributes."""

    incarnation: int = 1
    sequence: int = 0
    generation: int = 1
    ended: bytes = b""
    state_vector: bytes = b"\0"
    outcome: Outcome = Outcome.APPLIED
    applied: list[bytes] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    published: list[bytes] = field(default_factory=list)
    followers: list[tuple[Connection, int]] = field(default_factory=list)
    listeners: list[tuple[Connection, int]] = field(default_factory=list)
    follows: list[int] = field(default_factory=list)

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        match message:
            case ReadState():
                reply = StateReply(
                    self.incarnation,
                    True,
                    b"\0\0",
                    self.state_vector,
                    b"",
                    self.sequence,
                    self.ended,
                )
                connection.reply(cause, reply)
            case GetStore():
                connection.reply(cause, _store(self.sequence, self.generation))
            case ApplyUpdates():
                self._apply(connection, cause, message)
            case FollowChanges():
                self.follows.append(message.since)
                missed = tuple(c for c in self.changes if 0 <= message.since < c.sequence)
                if missed:
                    connection.reply(cause, ChangesSeen(missed, self.sequence))
                self.followers.append((connection, cause))
            case FollowAwareness():
                self.listeners.append((connection, cause))
            case PublishAwareness():
                self.published.append(message.payload)
            case _:
                connection.fail(cause, Failure.INVALID, "not asked here")

    def _apply(self, connection: Connection, cause: int, message: ApplyUpdates) -> None:
        outcomes = (self.outcome,) * len(message.updates)
        self.batches.append(len(outcomes))
        if self.outcome is Outcome.APPLIED:
            for update in message.updates:
                self.applied.append(update.update)
                self.change(update.update, message.origin)
        reason = "" if self.outcome is Outcome.APPLIED else "why"
        connection.reply(cause, AppliedReply(outcomes, (reason,) * len(outcomes), self.sequence))

    def change(
        self, update: bytes, origin: str = "", action: str = "updated", skip: int = 0
    ) -> None:
        """Sends it to the followers; `skip` sequences before it are left out."""
        self.sequence += 1 + skip
        change = Change(self.sequence, "n", "d", action, self.incarnation, b"", origin, update, b"")
        self.changes.append(change)
        self.tell(ChangesSeen((change,), self.sequence))

    def tell(self, message: ChangesSeen | FeedGap) -> None:
        for connection, cause in self.followers:
            connection.reply(cause, message)

    def disconnect(self) -> None:
        """Ends the streams of changes, as a restart does."""
        streams = [connection for connection, _ in self.followers]
        self.followers.clear()
        for connection in streams:
            connection.close()

    def hear(self, payload: bytes) -> None:
        for connection, cause in self.listeners:
            connection.reply(cause, AwarenessSeen("n", "d", payload, "peer"))


def _store(sequence: int, generation: int) -> StoreReply:
    return StoreReply(0, 0, sequence, 1, b"", generation, 0, 0, True, "", (), True)


class FakeClient:
    """The other end of a WebSocket."""

    def __init__(self) -> None:
        self._incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.received: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.may_read = asyncio.Event()
        self.may_read.set()

    def say(self, *message: int) -> None:
        self._incoming.put_nowait(bytes(message))

    def leave(self) -> None:
        self._incoming.put_nowait(None)

    async def receive_data(self) -> bytes:
        message = await self._incoming.get()
        if message is None:
            raise SocketClosed
        if message == b"text":
            raise MalformedUpdate("text instead of bytes")
        return message

    async def send_data(self, payload: bytes) -> None:
        await self.may_read.wait()
        self.received.append(payload)

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


@dataclass
class Stage:
    """Rooms over `behind`, and clients in them."""

    behind: Behind
    rooms: Rooms
    store: WorkerClient
    dropped: list[str]
    """Reasons for which awareness was dropped."""
    sessions: list[asyncio.Task[None]] = field(default_factory=list)

    async def join(self, may_write: bool = True) -> FakeClient:
        """A client that has done step 1."""
        client = FakeClient()
        session = YjsSession(self.store, self.rooms, client, may_write)
        self.sessions.append(asyncio.create_task(session.serve("n", "d")))
        client.say(0, 0, 1, 0)
        await until(lambda: len(client.received) >= 2 or client.closed is not None)
        await until(lambda: bool(self.behind.followers))
        return client


@contextlib.asynccontextmanager
async def serve_behind(behind: Behind, folder: Path) -> AsyncIterator[None]:
    """On the sockets of the store and of sync."""
    servers = []
    for name in ("store", "sync"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(folder / f"{name}.sock"))
        sock.listen()
        sock.setblocking(False)
        servers.append(await serve(sock, name, behind.on_message))
        sock.close()
    try:
        yield
    finally:
        for server in servers:
            await server.close()


@contextlib.asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    behind = Behind()
    async with serve_behind(behind, folder):
        store, sync = WorkerClient(folder, "store", 2.0), WorkerClient(folder, "sync", 2.0)
        dropped: list[str] = []
        stage = Stage(behind, Rooms(store, sync, dropped.append), store, dropped)
        try:
            yield stage
        finally:
            stage.rooms.close()
            for task in stage.sessions:
                task.cancel()
            await asyncio.gather(*stage.sessions, return_exceptions=True)
            for upstream in (store, sync):
                await upstream.close()
