"""The discovery worker: starts the sources, puts together what they see, and tells who asks."""

from __future__ import annotations

import asyncio
import contextlib
import random

from peatnode.config import Config
from peatnode.ipc.link import Connection, Link, serve
from peatnode.ipc.messages import (
    DiscoveryReply,
    Failure,
    FollowDiscovery,
    GetDiscovery,
    GetMetrics,
    GetNode,
    Message,
    Metric,
    MetricsReply,
    PeerFound,
    PeerLost,
    SourceState,
)
from peatnode.model.states import SourceStatus
from peatnode.worker.shell import WorkerShell
from workers.discovery.factory import Place, make_source
from workers.discovery.network import drain_changes, open_changes, read_adapters
from workers.discovery.peer_table import PeerTable
from workers.discovery.sighting import SightingsChanged
from workers.discovery.source import Source
from workers.discovery.subscriber import Follower

NETWORK_SECONDS = 60.0
"""Between two looks at this machine's interfaces where the kernel tells of no change, more or less a fifth."""

SETTLE_SECONDS = 0.5
"""Changes come in bursts."""

GOODBYE_SECONDS = 2.0
"""At most, at the stop."""


class DiscoveryService:
    """Is the sources' Report, and answers `discovery.sock`."""

    def __init__(self, shell: WorkerShell, table: PeerTable) -> None:
        self._shell = shell
        self._table = table
        self.sources: list[Source] = []
        self._followers: set[Follower] = set()
        self._problems: dict[str, str] = {}

    # --- what sources say

    def change(self, source: str, changed: SightingsChanged) -> None:
        self.tell(self._table.update(source, changed))

    def tell(self, events: list[PeerFound | PeerLost]) -> None:
        for event in events:
            if isinstance(event, PeerLost):
                self._shell.log.debug("Peer lost", peer=event.key)
            else:
                addresses = [f"{a.host}:{a.port}" for a in event.peer.addresses]
                self._shell.log.debug("Peer found", peer=event.peer.key, addresses=addresses)
        for follower in self._followers:
            follower.tell(events)

    def raise_problem(self, source: str, message: str, advice: str) -> None:
        if self._problems.get(source) == message:
            return
        self._problems[source] = message
        self._shell.raise_problem(f"discovery.{source}", message, advice)
        self._shell.log.warning("Discovery is in trouble", source=source, reason=message)

    def clear_problem(self, source: str) -> None:
        if self._problems.pop(source, None) is not None:
            self._shell.clear_problem(f"discovery.{source}")
            self._shell.log.info("Discovery works again", source=source)

    # --- what others ask

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        match message:
            case FollowDiscovery():
                self._followers.add(Follower(connection, cause, self._table.peers))
            case GetDiscovery():
                connection.reply(cause, DiscoveryReply(self._states(), self._table.peers))
            case GetMetrics():
                connection.reply(cause, MetricsReply(tuple(self._metrics())))
            case _:  # the contract has more messages than this worker answers
                connection.fail(cause, Failure.INVALID, f"discovery does not answer {message.TAG}.")

    def on_close(self, connection: Connection) -> None:
        for follower in [f for f in self._followers if f.connection is connection]:
            follower.close()
            self._followers.discard(follower)

    def _states(self) -> tuple[SourceState, ...]:
        states = []
        for source in self.sources:
            now = source.condition()
            count = self._table.count(source.name)
            states.append(SourceState(source.name, now.state, now.message, count, now.age_seconds))
        return tuple(states)

    def _metrics(self) -> list[Metric]:
        metrics = [Metric("peatnode_discovery_peers", (), float(len(self._table.peers)))]
        for state in self._states():
            labels = (("source", state.name),)
            up = float(state.state is SourceStatus.WATCHING)
            metrics.append(Metric("peatnode_discovery_source_up", labels, up))
            metrics.append(Metric("peatnode_discovery_source_peers", labels, float(state.peers)))
        for source in self.sources:
            metrics += source.metrics()
        return metrics


async def main(shell: WorkerShell) -> None:
    config = shell.config
    place = Place(
        instance=shell.context.instance,
        port=config.quic_port or await _ask_port(config),
        adapters=read_adapters(),
    )
    table = PeerTable(place.instance, place.own_addresses(config.quic_host))
    service = DiscoveryService(shell, table)
    sources = [make_source(name, config, place, service) for name in config.discovery]
    service.sources = sources
    server = await serve(
        shell.context.listeners["discovery"], "discovery", service.on_message, service.on_close
    )
    shell.ready()
    left = 0.0
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(source.run()) for source in sources]
        tasks.append(group.create_task(_watch_network(config, place, service, table)))
        left = await shell.wait_stop()
        for task in tasks:
            task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(left, GOODBYE_SECONDS)):
            for source in sources:
                await source.close()
    await server.close()


async def _ask_port(config: Config) -> int:
    """The port that the supervisor was given where any would do."""
    async with await Link.connect(config.run_dir / "supervisor.sock", "discovery") as link:
        return (await link.ask(GetNode())).quic_port


async def _watch_network(
    config: Config, place: Place, service: DiscoveryService, table: PeerTable
) -> None:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    changes = open_changes()
    if changes is not None:
        loop.add_reader(changes, changed.set)
    while True:
        pause = NETWORK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311  # jitter
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await changed.wait()
        if changes is not None:
            await asyncio.sleep(SETTLE_SECONDS)
            drain_changes(changes)
        changed.clear()
        try:
            place.adapters = read_adapters()
        except OSError:
            continue  # it is just changing; the next look will do
        service.tell(table.replace_own_addresses(place.own_addresses(config.quic_host)))
        for source in service.sources:
            source.move(place.adapters)
