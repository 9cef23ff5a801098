"""The interface between the worker and each source of peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from peatnode.ipc.messages import Address, Metric
from peatnode.model.states import SourceStatus
from workers.discovery.network import Adapter, own_addresses
from workers.discovery.sighting import SightingsChanged


@dataclass(slots=True)
class ThisNode:
    """The instance, the port and the network interfaces of this node."""

    instance: str
    port: int
    """UDP port of sync."""
    adapters: tuple[Adapter, ...]

    def own_addresses(self, quic_host: str) -> frozenset[Address]:
        return own_addresses(self.adapters, quic_host, self.port)


class SourceReport(Protocol):
    """Receives the sightings and the problems of a source."""

    def change(self, source: str, changed: SightingsChanged) -> None: ...

    def raise_problem(self, source: str, message: str, advice: str) -> None:
        """Reports a problem of the source to the operator. It replaces an earlier one."""

    def clear_problem(self, source: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceCondition:
    """The state of a source, for status, readiness and metrics."""

    state: SourceStatus
    message: str
    age_seconds: float
    """Seconds since its list of peers was last known to be complete; negative: never."""
    failing_seconds: float = -1.0
    """Seconds since the first of the failures without a break; negative: it does not fail."""


class PeerSource(Protocol):
    """A source of peers. The worker calls its methods on the event loop."""

    name: str

    async def run(self) -> None:
        """Runs until it is cancelled. Failures outside this process must not end it."""

    async def departure(self) -> str:
        """Why this node leaves the mesh for good, as an orchestrator says; empty if it does not, or if nobody
        knows. Asked when the node stops, while `run` still runs; takes a second at most."""

    async def close(self) -> None:
        """Releases resources. Called after `run` has ended, when the node stops."""

    def adapters_changed(self, adapters: tuple[Adapter, ...]) -> None:
        """Receives the network interfaces of this machine after each change."""

    def condition(self) -> SourceCondition: ...

    def metrics(self) -> list[Metric]: ...
