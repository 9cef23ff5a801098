"""The clients of supervisor.sock: the broker, discovery and the CLI.
Requests are small and answered immediately."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from peatnode.codec.frames import FrameBuffer
from peatnode.errors import MalformedFrame
from peatnode.ipc.credentials import is_own_user
from peatnode.ipc.frames import decode_content, encode_frame
from peatnode.ipc.messages import CONTRACT, Failed, Failure, GetNode, Hello, Message, NodeReply

MAX_CLIENTS = 128
MAX_REQUEST_BYTES = 4096


@dataclass(slots=True)
class _Client:
    socket: socket.socket
    frames: FrameBuffer = field(default_factory=lambda: FrameBuffer(MAX_REQUEST_BYTES))
    is_greeted: bool = False


class SupervisorClients:
    """The open connections by file descriptor.
    A client that breaks the protocol or does not read is disconnected."""

    def __init__(
        self, listener: socket.socket, poll: select.poll, report: Callable[[], NodeReply]
    ) -> None:
        self._listener = listener
        self._poll = poll
        self._report = report
        self._open: dict[int, _Client] = {}

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._open

    def accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if len(self._open) >= MAX_CLIENTS or not is_own_user(client):
            client.close()
            return
        client.setblocking(False)
        self._open[client.fileno()] = _Client(client)
        self._poll.register(client, select.POLLIN)
        self._send(client.fileno(), Hello("supervisor", os.getpid(), CONTRACT), 0)

    def serve(self, descriptor: int) -> None:
        """Reads the requests of a client and answers them."""
        client = self._open[descriptor]
        try:
            data = client.socket.recv(MAX_REQUEST_BYTES)
            if not data:
                self._close(descriptor)
                return
            for content in client.frames.receive_data(data):
                cause, message = decode_content(content)
                self._answer(descriptor, cause, message)
        except BlockingIOError:
            return
        except (OSError, MalformedFrame):
            self._close(descriptor)

    def _answer(self, descriptor: int, cause: int, message: Message) -> None:
        if descriptor not in self._open:
            return
        client = self._open[descriptor]
        match message:
            case Hello():
                client.is_greeted = message.contract == CONTRACT
                if not client.is_greeted:
                    self._close(descriptor)
            case _ if not client.is_greeted:
                self._close(descriptor)
            case GetNode():
                self._send(descriptor, self._report(), cause)
            case _:
                failed = Failed(Failure.INVALID, f"The supervisor does not answer {message.TAG}.")
                self._send(descriptor, failed, cause)

    def _send(self, descriptor: int, message: Message, cause: int) -> None:
        if descriptor not in self._open:
            return
        frame = encode_frame(message, cause)
        try:
            whole = self._open[descriptor].socket.send(frame) == len(frame)
        except OSError:
            whole = False
        if not whole:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        client = self._open.pop(descriptor, None)
        if client is not None:
            self._poll.unregister(descriptor)
            client.socket.close()

    def close(self) -> None:
        for client in self._open.values():
            client.socket.close()
        self._open.clear()
