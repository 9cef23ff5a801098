"""One end of a link: it sends and receives frames over a Unix socket, `Hello` first."""

from __future__ import annotations

import asyncio
import os
from typing import cast

from peatnode.errors import ContractMismatch, LinkLost, MalformedFrame
from peatnode.ipc.credentials import is_own_user
from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import CONTRACT, Hello, Message


class Endpoint(asyncio.Protocol):
    """Sends and receives the frames of one socket, and checks the other worker's `Hello`.
    Subclasses handle messages."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.peer_worker = ""
        self.is_closed = False
        self._frames = link_buffer()
        self._outgoing: list[bytes] = []
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # No isinstance: uvloop's transports do not derive from asyncio's.
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1024 * 1024)
        if not is_own_user(transport.get_extra_info("socket")):
            transport.abort()
            return
        self.send(Hello(self.worker, os.getpid(), CONTRACT), 0)

    def send(self, message: Message, cause: int) -> None:
        if self.is_closed:
            return
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(encode_frame(message, cause))

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is None or self.is_closed:
            return
        try:
            self._transport.write(b"".join(outgoing))
        except MemoryError:
            self._lose_for_memory()

    def _lose_for_memory(self) -> None:
        """Closes the link, so that both sides know of the requests whose frames were neither sent nor read."""
        self.abort(LinkLost("a frame needed more memory than the process has"))

    def data_received(self, data: bytes) -> None:
        try:
            for content in self._frames.receive_data(data):
                cause, message = decode_content(content)
                if self.peer_worker:
                    self.message_received(cause, message)
                else:
                    self._greet(message)
        except (MalformedFrame, ContractMismatch) as error:
            self.abort(error)
        except MemoryError:
            self._lose_for_memory()

    def _greet(self, message: Message) -> None:
        if not isinstance(message, Hello):
            raise MalformedFrame(f"{message.TAG} was received before hello")
        if message.contract != CONTRACT:
            raise ContractMismatch(
                f"{message.worker} uses contract {message.contract}, {self.worker} uses {CONTRACT}"
            )
        self.peer_worker = message.worker
        self.greeted()

    def greeted(self) -> None:
        """Called when the other worker has sent its Hello."""

    def message_received(self, cause: int, message: Message) -> None:
        raise NotImplementedError

    def abort(self, error: Exception) -> None:
        """Closes the link after an error of the other worker."""
        self.connection_lost(error)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        if self._outgoing:
            self._flush()
        if self._transport is not None:
            self._transport.close()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._writable.set()

    async def wait_writable(self) -> None:
        """Waits until the other worker has read most of what was sent. Raises LinkLost."""
        await self._writable.wait()
        if self.is_closed:
            raise LinkLost(f"the link to {self.peer_worker or 'a worker'} is closed")
