"""Announces this node by mDNS, and listens for other nodes. The only importer of zeroconf.

QUIC detects whether a peer is alive. A peer is lost only if its record is withdrawn, or if several requests
for an expired record are not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from zeroconf import Error, ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from peatnode import __version__, logs
from peatnode.config import Config
from peatnode.errors import BadConfiguration
from peatnode.identity import formation_key
from peatnode.ipc.messages import Metric
from peatnode.model.states import SourceStatus
from workers.discovery.mdns.records import (
    SERVICE_TYPE,
    formation_tag,
    is_announceable,
    read_sighting,
    service_label,
    write_text,
)
from workers.discovery.network import Adapter, Reach, choose_reach
from workers.discovery.sighting import Sighting, SightingsChanged
from workers.discovery.source import SourceCondition, SourceReport, ThisNode

RECORD_SECONDS = 120
"""Time for which other nodes may cache the records of this node."""

CHECK_SECONDS = 20.0
"""Between two checks whether known services still answer, plus or minus a half."""

REQUEST_MILLISECONDS = 3000

MISSES = 3
"""A record is lost after this many consecutive requests without an answer."""

RETRY_SECONDS = 5.0

MAX_SERVICES = 1024
"""Limit of tracked names, because any host on the network can announce names."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """The service that this node announces."""

    label: str
    port: int
    text: dict[str, str]
    tag: str
    """Tag of the formation; announcements with another tag are ignored."""

    @property
    def name(self) -> str:
        return f"{self.label}.{SERVICE_TYPE}"

    def service(self, reach: Reach) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            SERVICE_TYPE,
            self.name,
            port=self.port,
            properties=self.text,
            server=f"{self.label}.local.",
            host_ttl=RECORD_SECONDS,
            other_ttl=RECORD_SECONDS,
            parsed_addresses=list(reach.hosts),
        )


class _LibraryLog(logging.Handler):
    """Forwards the warnings of zeroconf to the log of the node."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quota = logs.LogQuota(logs.get_logger("discovery.mdns"), time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        about = ("", str(record.msg))
        self._quota.warning("Warning of the mDNS library", about, reason=record.getMessage())


def open_source(config: Config, node: ThisNode, report: SourceReport) -> MdnsSource:
    """Opens the source. Raises BadConfiguration if the node id does not fit into a record."""
    node_id = config.node_id
    if not is_announceable(node_id):
        raise BadConfiguration(
            f"the node id {node_id!r} is too long for mDNS: shorten HOSTNAME or PEAT_CLUSTER"
        )
    tag = formation_tag(formation_key(config.secret.reveal()))
    announcement = Announcement(
        label=service_label(node_id, node.instance),
        port=node.port,
        text=write_text(node_id, config.cluster, node.instance, __version__, tag),
        tag=tag,
    )
    return MdnsSource(
        announcement,
        node.adapters,
        lambda adapters: choose_reach(adapters, config.mdns_interfaces, config.quic_host),
        report,
    )


class MdnsSource:
    """Announces this node, and tracks the announcements of its formation."""

    name = "mdns"

    def __init__(
        self,
        announcement: Announcement,
        adapters: tuple[Adapter, ...],
        choose: Callable[[tuple[Adapter, ...]], Reach],
        report: SourceReport,
    ) -> None:
        self._announcement = announcement
        self._choose = choose
        self._reach = choose(adapters)
        self._report = report
        self._stack: AsyncZeroconf | None = None
        self._browser: AsyncServiceBrowser | None = None
        self._announced: Reach | None = None
        self._misses: dict[str, int] = {}
        """Number of consecutive requests that a service has not answered, by the name of the service."""
        self._shown: dict[str, Sighting] = {}
        self._failure = ""
        self._failing_at = 0.0
        """Time of the first of the failures, while it fails."""
        self._reach_changed = asyncio.Event()
        self._requests = asyncio.Semaphore(16)
        self._group = asyncio.TaskGroup()
        self._loop = asyncio.get_running_loop()
        self._started_at: float | None = None
        library = logging.getLogger("zeroconf")
        library.handlers[:] = [_LibraryLog()]
        library.propagate = False

    def adapters_changed(self, adapters: tuple[Adapter, ...]) -> None:
        reach = self._choose(adapters)
        if reach != self._reach:
            self._reach = reach
            self._reach_changed.set()

    async def run(self) -> None:
        async with self._group:
            while True:
                pause = CHECK_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311  # jitter
                try:
                    await self._apply_reach()
                except (OSError, RuntimeError, Error) as error:
                    self._fail(error)
                    pause = RETRY_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311
                self._reach_changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._reach_changed.wait()
                for name in list(self._misses):
                    self._group.create_task(self._resolve(name))

    async def departure(self) -> str:
        return ""  # nobody orchestrates these nodes

    async def close(self) -> None:
        """Withdraws the announcement."""
        stack, self._stack = self._stack, None
        if stack is not None:
            with contextlib.suppress(OSError, Error):
                if self._browser is not None:
                    await self._browser.async_cancel()
                await stack.async_close()

    async def _apply_reach(self) -> None:
        """Brings the interfaces in use and the announced addresses up to date."""
        reach = self._reach
        if self._announced == reach:
            return
        if not reach.interfaces or not reach.hosts:
            raise OSError("none of its interfaces exists")
        if self._stack is None:
            await self._open(reach)
        else:
            await self._stack.async_update_interfaces(list(reach.interfaces))
            sending = await self._stack.async_update_service(self._announcement.service(reach))
            await sending
        self._announced = reach
        self._failure = ""
        self._report.clear_problem(self.name)

    async def _open(self, reach: Reach) -> None:
        self._stack = AsyncZeroconf(interfaces=list(reach.interfaces))
        zeroconf = self._stack.zeroconf
        try:
            await zeroconf.async_wait_for_start()
            self._browser = AsyncServiceBrowser(zeroconf, SERVICE_TYPE, handlers=[self._on_change])
            # The name contains a part of the instance, so it is unique and needs no probe.
            sending = await self._stack.async_register_service(
                self._announcement.service(reach), cooperating_responders=True
            )
            await sending
        except (OSError, RuntimeError, Error):
            await self.close()
            raise
        self._started_at = self._loop.time()

    def _fail(self, error: Exception) -> None:
        if not self._failure:
            self._failing_at = self._loop.time()
        self._failure = str(error) or type(error).__name__
        self._report.raise_problem(
            self.name,
            f"mDNS does not work: {self._failure}.",
            "Check the network and PEAT_MDNS_INTERFACES; it is retried automatically. "
            "Nodes on one machine can use PEAT_MDNS_INTERFACES=127.0.0.1.",
        )

    def _on_change(
        self,
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._misses.pop(name, None)
            self._lose(name)
        elif name in self._misses or len(self._misses) < MAX_SERVICES:
            self._misses.setdefault(name, 0)
            self._group.create_task(self._resolve(name))

    async def _resolve(self, name: str) -> None:
        """Reads the records of a service from the cache, or requests them if they have expired."""
        if self._stack is None or name == self._announcement.name:
            return
        zeroconf = self._stack.zeroconf
        found = AsyncServiceInfo(SERVICE_TYPE, name)
        async with self._requests:
            try:
                is_answered = found.load_from_cache(zeroconf) or await found.async_request(
                    zeroconf, REQUEST_MILLISECONDS
                )
            except (OSError, Error):
                return
        if name not in self._misses:
            return  # it was withdrawn in the meantime
        self._misses[name] = 0 if is_answered else self._misses[name] + 1
        if is_answered:
            self._add(found)
        elif self._misses[name] >= MISSES:
            self._lose(name)

    def _add(self, found: AsyncServiceInfo) -> None:
        sighting = read_sighting(
            found.name,
            found.properties,
            found.parsed_addresses(),
            found.port or 0,
            self._announcement.tag,
        )
        if sighting is None:
            self._lose(found.name)
        elif self._shown.get(sighting.key) != sighting:
            self._shown[sighting.key] = sighting
            self._report.change(self.name, SightingsChanged((sighting,), ()))

    def _lose(self, name: str) -> None:
        if self._shown.pop(name, None) is not None:
            self._report.change(self.name, SightingsChanged((), (name,)))

    def condition(self) -> SourceCondition:
        if self._failure:
            failing = self._loop.time() - self._failing_at
            return SourceCondition(SourceStatus.FAILING, self._failure, -1.0, failing)
        if self._started_at is None:
            return SourceCondition(SourceStatus.STARTING, "", -1.0)
        return SourceCondition(SourceStatus.WATCHING, "on " + ", ".join(self._reach.hosts), 0.0)

    def metrics(self) -> list[Metric]:
        return [Metric("peatnode_discovery_mdns_services", (), float(len(self._misses)))]
