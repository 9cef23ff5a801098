"""What every source of peers is to the worker, and the worker to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from peatnode.ipc.messages import Metric
from peatnode.model.states import SourceStatus
from workers.discovery.network import Adapter
from workers.discovery.sighting import SightingsChanged


class Report(Protocol):
    """Where a source says what it sees."""

    def change(self, source: str, changed: SightingsChanged) -> None: ...

    def raise_problem(self, source: str, message: str, advice: str) -> None:
        """In words, for an operator; again to say something else."""

    def clear_problem(self, source: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceCondition:
    """How a source is."""

    state: SourceStatus
    message: str
    age_seconds: float
    """Since it was last known to be complete; negative: never yet."""


class Source(Protocol):
    name: str

    async def run(self) -> None:
        """Until cancelled; survives whatever the world outside does."""

    async def close(self) -> None:
        """After `run`, at the stop of the node."""

    def move(self, adapters: tuple[Adapter, ...]) -> None:
        """What interfaces this machine has now; said again and again."""

    def condition(self) -> SourceCondition: ...

    def metrics(self) -> list[Metric]: ...
