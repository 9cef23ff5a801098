"""What the supervisor's policy is told, and what it orders. Times are monotonic seconds. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """The sockets are bound; workers may be started."""


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """The fork that `StartWorker` ordered was made."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerServing:
    """The worker said WorkerReady."""

    name: str


@dataclass(frozen=True, slots=True)
class PongReceived:
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The process is gone and was waited for."""

    name: str
    status: int
    """Exit status, or minus the number of the signal that killed it."""
    complaint: str
    """What it said of the configuration before; empty: nothing."""


@dataclass(frozen=True, slots=True)
class RecycleRequested:
    """The worker wants to be replaced by a fresh one."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """SIGTERM or SIGINT. The second hurries, the third ends everything at once."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """`Policy.deadline` has come."""


Event = (
    NodeStarted
    | WorkerStarted
    | WorkerServing
    | PongReceived
    | WorkerExited
    | RecycleRequested
    | StopRequested
    | DeadlinePassed
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
class RequestStop:
    """Ask the worker to finish within `seconds`."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class KillWorker:
    """SIGKILL; `WorkerExited` follows."""

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
    | RequestStop
    | KillWorker
    | AnnounceReady
    | AnnounceDeath
    | AnnounceRecycling
    | AnnounceStop
    | EndNode
)
