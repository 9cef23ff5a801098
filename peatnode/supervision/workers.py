"""The workers of a node: the one table that knows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A kind of worker. Its module has `run(context)`, which never returns."""

    name: str
    module: str
    listeners: tuple[str, ...]
    """Names of the sockets that it gets: its own Unix socket is named as it is."""
    turn: int
    """To stop: one turn after the other, from 0; workers of one turn stop together."""


WORKERS = (
    WorkerSpec("store", "workers.store", ("store",), 2),
    WorkerSpec("engine", "workers.engine", ("engine",), 3),
    WorkerSpec("sync", "workers.sync", ("sync", "quic"), 1),
    WorkerSpec("discovery", "workers.discovery", ("discovery",), 1),
    WorkerSpec("broker", "workers.broker", ("http",), 0),
)
