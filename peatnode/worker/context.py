"""The values that a worker inherits from the supervisor when it is forked."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from peatnode.config import Config


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The worker's name, its configuration and its sockets."""

    name: str
    config: Config
    instance: str
    """32 hex digits, new at each start of the node."""
    control: socket.socket
    listeners: Mapping[str, socket.socket]
    """Bound sockets by name: the worker's own Unix socket, `quic` (UDP), `http` (TCP)."""
