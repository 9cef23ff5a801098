"""The worker's end of its control link: a socket pair with the supervisor."""

from __future__ import annotations

import os
import socket
import threading

from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import CONTRACT, Hello, Message


class ControlLink:
    """The worker's end of its socket pair with the supervisor. Any thread may send.

    The socket is blocking, so that a frame is always written completely; `receive` never waits.
    """

    def __init__(self, sock: socket.socket, worker: str) -> None:
        self.socket = sock
        self._worker = worker
        self._frames = link_buffer()
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Sends a message. Does nothing if the supervisor has exited, which `receive` reports."""
        with self._lock:
            try:
                self.socket.sendall(encode_frame(message, 0))
            except OSError:
                return

    def greet(self) -> None:
        """Sends Hello, which must be the first message."""
        self.send(Hello(self._worker, os.getpid(), CONTRACT))

    def receive(self) -> list[Message] | None:
        """Returns the messages that have arrived; None: the supervisor has exited."""
        try:
            data = self.socket.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        return [decode_content(content)[1] for content in self._frames.receive_data(data)]
