"""The worker's end of its control link: a socket pair with the supervisor."""

from __future__ import annotations

import os
import socket
import threading

from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import CONTRACT, Hello, Message


class ControlLink:
    """The worker's end of its socket pair with the supervisor. Writes may come from any thread.

    The socket blocks, so that a frame is never written by half; what is read is what is there.
    """

    def __init__(self, sock: socket.socket, worker: str) -> None:
        self.socket = sock
        self._worker = worker
        self._frames = link_buffer()
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        """A supervisor that is gone is noticed by the reader."""
        with self._lock:
            try:
                self.socket.sendall(encode_frame(message, 0))
            except OSError:
                return

    def greet(self) -> None:
        self.say(Hello(self._worker, os.getpid(), CONTRACT))

    def receive(self) -> list[Message] | None:
        """What has come since; None: the supervisor is gone."""
        try:
            data = self.socket.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        return [decode_content(content)[1] for content in self._frames.receive_data(data)]
