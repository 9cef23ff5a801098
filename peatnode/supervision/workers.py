"""The workers of a node: the one table that lists them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker. Its module has `run(context)`, which never returns."""

    name: str
    module: str
    listeners: tuple[str, ...]
    """Names of the sockets that it receives; its own Unix socket has its name."""
    turn: int
    """To stop: one turn after the other, from 0; workers of one turn stop together."""

    @property
    def has_socket(self) -> bool:
        """Whether it answers others on a Unix socket of its own."""
        return self.name in self.listeners


WORKERS: tuple[WorkerSpec, ...] = (
    WorkerSpec("store", "workers.store", ("store",), 2),
    WorkerSpec("engine", "workers.engine", ("engine",), 3),
    WorkerSpec("sync", "workers.sync", ("sync", "quic"), 1),
    WorkerSpec("discovery", "workers.discovery", ("discovery",), 1),
    WorkerSpec("broker", "workers.broker", ("http",), 0),
)
