"""What the supervisor's policy is told, and what it orders. Times are monotonic seconds. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeBegan:
    """The sockets are bound; workers may be started."""


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """The fork that `StartWorker` ordered was made."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerServes:
    """The worker said WorkerReady."""

    name: str


@dataclass(frozen=True, slots=True)
class PongCame:
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class WorkerEnded:
    """The process is gone and was waited for."""

    name: str
    status: int
    """Exit status, or minus the number of the signal that killed it."""
    complaint: str
    """What it said of the configuration before; empty: nothing."""


@dataclass(frozen=True, slots=True)
class RecycleAsked:
    """The worker wants to be replaced by a fresh one."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopAsked:
    """SIGTERM or SIGINT. The second hurries, the third ends everything at once."""


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`Policy.deadline` has come."""


Event = (
    NodeBegan
    | WorkerStarted
    | WorkerServes
    | PongCame
    | WorkerEnded
    | RecycleAsked
    | StopAsked
    | TimePassed
)

# --- actions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartWorker:
    name: str


@dataclass(frozen=True, slots=True)
class PingWorker:
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class TellStop:
    """Ask the worker to finish within `seconds`."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class KillWorker:
    """SIGKILL; `WorkerEnded` follows."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnnounceReady:
    """Every worker serves, for the first time."""


@dataclass(frozen=True, slots=True)
class AnnounceDeath:
    """A worker ended that should not have; it is started again after `seconds`."""

    name: str
    ending: str
    seconds: float


@dataclass(frozen=True, slots=True)
class AnnounceRecycling:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnnounceStop:
    """The node begins to stop."""

    reason: str


@dataclass(frozen=True, slots=True)
class EndNode:
    """All workers are gone. Nothing follows."""

    status: int
    reason: str
    """One sentence; empty: it was asked to."""


Action = (
    StartWorker
    | PingWorker
    | TellStop
    | KillWorker
    | AnnounceReady
    | AnnounceDeath
    | AnnounceRecycling
    | AnnounceStop
    | EndNode
)
