"""Serves `discovery.sock`: subscriptions to peers, and requests for the state of the sources."""

from __future__ import annotations

import asyncio

from peatnode.ipc.link import Connection
from peatnode.ipc.messages import (
    DepartureReply,
    DiscoveryReply,
    Failure,
    FollowDiscovery,
    GetDeparture,
    GetDiscovery,
    GetMetrics,
    Message,
    Metric,
    MetricsReply,
    PeerFound,
    PeerLost,
    SourceState,
)
from peatnode.model.states import SourceStatus
from peatnode.worker.shell import WorkerShell
from workers.discovery.peer_table import PeerTable
from workers.discovery.sighting import SightingsChanged
from workers.discovery.source import PeerSource
from workers.discovery.subscriber import DiscoverySubscriber


class DiscoveryService:
    """Receives the reports of all sources, keeps the peer table, and answers `discovery.sock`."""

    def __init__(self, shell: WorkerShell, table: PeerTable) -> None:
        self._shell = shell
        self._table = table
        self.sources: list[PeerSource] = []
        self._subscribers: set[DiscoverySubscriber] = set()
        self._problems: dict[str, str] = {}
        self._answers: set[asyncio.Task[None]] = set()

    # --- reports of sources

    def change(self, source: str, changed: SightingsChanged) -> None:
        self.publish(self._table.update(source, changed))

    def publish(self, events: list[PeerFound | PeerLost]) -> None:
        for event in events:
            if isinstance(event, PeerLost):
                self._shell.quota.debug("Peer lost", (event.key, ""), peer=event.key)
            else:
                addresses = [str(address) for address in event.peer.addresses]
                about = (event.peer.key, "")
                self._shell.quota.debug(
                    "Peer found", about, peer=event.peer.key, addresses=addresses
                )
        for subscriber in self._subscribers:
            subscriber.enqueue(events)

    def raise_problem(self, source: str, message: str, advice: str) -> None:
        if self._problems.get(source) == message:
            return
        self._problems[source] = message
        self._shell.raise_problem(f"discovery.{source}", message, advice)
        about = (source, message)
        self._shell.quota.warning("Discovery source failed", about, source=source, reason=message)

    def clear_problem(self, source: str) -> None:
        if self._problems.pop(source, None) is not None:
            self._shell.clear_problem(f"discovery.{source}")
            self._shell.quota.info("Discovery source recovered", (source, ""), source=source)

    # --- requests

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        match message:
            case FollowDiscovery():
                self._subscribers.add(DiscoverySubscriber(connection, cause, self._table.peers))
            case GetDiscovery():
                connection.reply(cause, DiscoveryReply(self._states(), self._table.peers))
            case GetDeparture():
                task = asyncio.create_task(self._answer_departure(connection, cause))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
            case GetMetrics():
                connection.reply(cause, MetricsReply(tuple(self._metrics())))
            case _:  # other workers answer the other messages of the contract
                connection.fail(cause, Failure.INVALID, f"discovery does not answer {message.TAG}.")

    async def _answer_departure(self, connection: Connection, cause: int) -> None:
        reasons = await asyncio.gather(*[source.departure() for source in self.sources])
        reason = next(filter(None, reasons), "")
        connection.reply(cause, DepartureReply(bool(reason), reason))

    def on_close(self, connection: Connection) -> None:
        for subscriber in [s for s in self._subscribers if s.connection is connection]:
            subscriber.close()
            self._subscribers.discard(subscriber)

    def _states(self) -> tuple[SourceState, ...]:
        states = []
        for source in self.sources:
            now = source.condition()
            count = self._table.count(source.name)
            states.append(
                SourceState(
                    source.name,
                    now.state,
                    now.message,
                    count,
                    now.age_seconds,
                    now.failing_seconds,
                )
            )
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
