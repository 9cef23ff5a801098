"""The table of the workers of a node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker. Its module has `run(context)`, which never returns."""

    name: str
    module: str
    listeners: tuple[str, ...]
    """Names of the sockets that it inherits; its own Unix socket has the name of the worker."""
    turn: int
    """Its place in the order of the stop, from 0. Workers with the same turn stop together."""

    @property
    def has_socket(self) -> bool:
        """Whether it serves a Unix socket of its own."""
        return self.name in self.listeners


WORKERS: tuple[WorkerSpec, ...] = (
    WorkerSpec("store", "workers.store", ("store",), 2),
    WorkerSpec("engine", "workers.engine", ("engine",), 3),
    WorkerSpec("sync", "workers.sync", ("sync", "quic"), 1),
    WorkerSpec("discovery", "workers.discovery", ("discovery",), 2),
    WorkerSpec("broker", "workers.broker", ("http",), 0),
)
