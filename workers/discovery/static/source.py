"""Resolves the names of static peers periodically, in threads,
because the resolver of the system may block."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from peatnode.config import Config, StaticPeer
from peatnode.ipc.messages import Metric
from peatnode.model.states import SourceStatus
from workers.discovery.network import Adapter
from workers.discovery.source import SourceCondition, SourceReport, ThisNode
from workers.discovery.static.names import StaticPeers

RESOLVERS = 4
"""Number of threads, which are started when they are first needed."""

RESOLVE_TIMEOUT_SECONDS = 10.0
"""For one name."""


def open_source(config: Config, _: ThisNode, report: SourceReport) -> StaticSource:
    return StaticSource(config.static_peers, report)


class StaticSource:
    """The peers of PEAT_STATIC_PEERS. Their host names are resolved periodically."""

    name = "static"

    def __init__(self, peers: Iterable[StaticPeer], report: SourceReport) -> None:
        self._peers = StaticPeers(peers, random.random)
        self._report = report
        self._executor = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolver")
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        self._report.change(self.name, self._peers.start())
        async with asyncio.TaskGroup() as group:
            while True:
                for host in self._peers.due(self._loop.time()):
                    group.create_task(self._resolve(host))
                self._wake.clear()
                pause = self._peers.deadline - self._loop.time()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause if pause < 3600 else None):
                        await self._wake.wait()

    async def _resolve(self, host: str) -> None:
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_SECONDS):
                found = await self._loop.run_in_executor(self._executor, _look_up, host)
        except TimeoutError:
            self._peers.failed(host, "the resolver does not answer", self._loop.time())
        except (OSError, UnicodeError) as error:
            self._peers.failed(host, _reason(error), self._loop.time())
        else:
            self._report.change(self.name, self._peers.resolved(host, found, self._loop.time()))
        self._report_problem()
        self._wake.set()

    def _report_problem(self) -> None:
        failing = self._peers.failing
        if not failing:
            self._report.clear_problem(self.name)
            return
        names = ", ".join(f"{host} ({reason})" for host, reason in sorted(failing.items())[:5])
        self._report.raise_problem(
            self.name,
            f"Host names of static peers cannot be resolved: {names}.",
            "Check PEAT_STATIC_PEERS and the DNS of this machine; resolution is retried automatically.",
        )

    async def departure(self) -> str:
        return ""  # nobody orchestrates these nodes

    async def close(self) -> None:
        """Does nothing."""

    def adapters_changed(self, adapters: tuple[Adapter, ...]) -> None:
        """Does nothing, because the system chooses the interface of each connection."""

    def condition(self) -> SourceCondition:
        unresolved = sorted(self._peers.failing)
        if unresolved:
            state, message = SourceStatus.FAILING, "cannot resolve " + ", ".join(unresolved[:5])
        else:
            state, message = (
                (SourceStatus.WATCHING if self._peers.is_complete else SourceStatus.STARTING),
                "",
            )
        complete_at = self._peers.complete_at
        age = 0.0 if self._peers.is_complete else -1.0
        if complete_at is not None:
            age = self._loop.time() - complete_at
        failing_at = self._peers.failing_at
        failing = -1.0 if failing_at is None else self._loop.time() - failing_at
        return SourceCondition(state, message, age, failing)

    def metrics(self) -> list[Metric]:
        failing = float(len(self._peers.failing))
        return [Metric("peatnode_discovery_unresolved_names", (), failing)]


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    # A link-local address is unusable without its interface, which the wire cannot carry.
    return [str(entry[4][0]) for entry in found if not str(entry[4][0]).startswith("fe80:")]


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "not a host name"
