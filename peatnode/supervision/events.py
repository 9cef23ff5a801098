"""The events that the policy receives, and the actions that it orders. Times are monotonic seconds. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """The sockets are bound; workers may be started."""


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """`StartWorker` was carried out: the process exists."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerServing:
    """The worker has sent WorkerReady."""

    name: str


@dataclass(frozen=True, slots=True)
class PongReceived:
    name: str
    number: int


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The process has exited and has been reaped."""

    name: str
    status: int
    """Exit status, or minus the number of the signal that killed it."""
    complaint: str
    """The sentence on its configuration that it sent before; empty: none."""


@dataclass(frozen=True, slots=True)
class RecycleRequested:
    """The worker asks to be replaced by a new process."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """SIGTERM or SIGINT. The second shortens the stop, the third kills every worker."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time that `Policy.deadline` returned has come."""


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
    """Ask the worker to finish and exit within `seconds`."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class KillWorker:
    """Send SIGKILL; `WorkerExited` follows."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnnounceReady:
    """Every worker is ready, for the first time."""


@dataclass(frozen=True, slots=True)
class AnnounceDeath:
    """A worker exited unexpectedly; it is restarted after `seconds`."""

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
    """All workers have exited. No action follows."""

    status: int
    reason: str
    """One sentence; empty: the stop was requested."""


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
