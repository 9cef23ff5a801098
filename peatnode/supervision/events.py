"""The events that the policy receives, and the actions that it returns. Times are monotonic seconds.
No I/O."""

from __future__ import annotations

from dataclasses import dataclass

# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """The sockets are bound; workers may be started."""


@dataclass(frozen=True, slots=True)
class WorkerStarted:
    """The process of a worker has been forked."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class WorkerServing:
    """The worker has sent WorkerReady."""

    name: str


@dataclass(frozen=True, slots=True)
class PongReceived:
    """The worker has answered a ping."""

    name: str
    number: int
    turned: int
    """The newest ping that its event loop has seen."""


@dataclass(frozen=True, slots=True)
class WorkerExited:
    """The process has exited and has been reaped."""

    name: str
    status: int
    """Exit status, or minus the number of the signal that killed it."""
    configuration_error: str
    """The sentence about its configuration that it sent before; empty: none."""


@dataclass(frozen=True, slots=True)
class RecycleRequested:
    """The worker asks to be replaced by a new process."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A signal to stop was received. The second one shortens the stop, the third one kills all workers."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time that `Policy.deadline` returned has passed."""


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
    last_exit: str
    """How it ended, such as `killed by SIGKILL`."""
    seconds: float


@dataclass(frozen=True, slots=True)
class AnnounceRecycling:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AnnounceStop:
    """The node has begun to stop."""

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
