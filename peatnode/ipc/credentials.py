"""The user at the other end of a Unix socket."""

from __future__ import annotations

import os
import socket
import struct
from typing import Protocol

_UCRED = struct.Struct("3i")
"""pid, uid, gid (unix(7), SO_PEERCRED)."""


class UnixSocket(Protocol):
    """A socket, or the object that an asyncio transport returns instead."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def is_own_user(sock: UnixSocket) -> bool:
    """Whether the other process runs as the user of this one, or as root."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    _, uid, _ = _UCRED.unpack(credentials)
    return uid in (os.getuid(), 0)
