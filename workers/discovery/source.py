"""The interface between the worker and each source of peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from peatnode.ipc.messages import Address, Metric
from peatnode.model.states import SourceStatus
from workers.discovery.network import Adapter, own_addresses
from workers.discovery.sighting import SightingsChanged


@dataclass(slots=True)
class Place:
    """Where this node is in the network."""

    instance: str
    port: int
    """UDP, of sync."""
    adapters: tuple[Adapter, ...]

    def own_addresses(self, quic_host: str) -> frozenset[Address]:
        return own_addresses(self.adapters, quic_host, self.port)


class SourceReport(Protocol):
    """Receives what a source sees."""

    def change(self, source: str, changed: SightingsChanged) -> None: ...

    def raise_problem(self, source: str, message: str, advice: str) -> None:
        """For an operator, in words; another message replaces it."""

    def clear_problem(self, source: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceCondition:
    """The state of a source, for status, readiness and metrics."""

    state: SourceStatus
    message: str
    age_seconds: float
    """Since its list of peers was last known to be complete; negative: never."""


class PeerSource(Protocol):
    """A source of peers, as the worker drives it."""

    name: str

    async def run(self) -> None:
        """Runs until it is cancelled; no failure outside this process ends it."""

    async def close(self) -> None:
        """Called after `run` has ended, when the node stops."""

    def move(self, adapters: tuple[Adapter, ...]) -> None:
        """Receives the interfaces that this machine has now, after each change."""

    def condition(self) -> SourceCondition: ...

    def metrics(self) -> list[Metric]: ...
