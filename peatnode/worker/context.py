"""The values that a worker inherits from the supervisor when it is forked."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from peatnode.config import Config


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The worker's name, its configuration and its sockets."""

    name: str
    config: Config
    instance: str
    """32 hex digits, new at each start of the node."""
    instance_seed: bytes = field(repr=False)
    """Secret: `instance_private_key` makes the key of the instance of it."""
    control: socket.socket
    listeners: Mapping[str, socket.socket]
    """Bound sockets by name: the worker's own Unix socket, `quic` (UDP), `http` (TCP)."""
