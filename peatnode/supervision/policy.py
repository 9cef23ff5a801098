"""Decides when a worker is started, restarted, killed or stopped. No I/O.

`Policy.handle(event, now)` returns actions; `Policy.deadline()` is the time at which DeadlinePassed is due.

A worker is `starting` from its fork until it reports that it is ready, then `ready`. After an unexpected
exit it is `waiting` until it is restarted. It is `stopping` after the order to stop, and `stopped` when it
has exited.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from peatnode.errors import EXIT_CONFIGURATION
from peatnode.model.states import WorkerStatus
from peatnode.supervision.events import (
    Action,
    AnnounceDeath,
    AnnounceReady,
    AnnounceRecycling,
    AnnounceStop,
    DeadlinePassed,
    EndNode,
    Event,
    KillWorker,
    NodeStarted,
    PingWorker,
    PongReceived,
    RecycleRequested,
    RequestStop,
    StartWorker,
    StopRequested,
    WorkerExited,
    WorkerServing,
    WorkerStarted,
)

EXIT_FAILED = 1


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """Times in seconds, and the number of unexpected exits that ends the node. Tests use shorter times."""

    first_delay: float = 0.1
    longest_delay: float = 5.0
    stable: float = 60.0
    """After a run of this length the delay before a restart is `first_delay` again."""
    max_deaths: int = 5
    """Unexpected exits within `death_window`; one more ends the node."""
    death_window: float = 60.0
    ping_every: float = 5.0
    pong_within: float = 10.0
    first_pong_within: float = 60.0
    """Used while the worker starts, because imports and recovery may block its event loop."""
    turn_within: float = 30.0
    """A worker hangs that answers while its event loop sees no ping for longer. Until then it may work."""
    late: float = 1.0
    """If the supervisor itself was suspended for longer (SIGSTOP, a paused machine),
    late pongs are accepted."""
    stop: float = 9.0
    """For the whole node. A container runtime waits at least 10 s before it kills the node."""
    stop_reserve: float = 1.0
    """The part of `stop` that is reserved for each later turn."""
    hurried_stop: float = 0.5
    """For each turn, after a second signal, or when the node stops because of a failure."""
    recycle: float = 5.0


@dataclass(slots=True)
class WorkerRecord:
    """The state of one worker."""

    name: str
    turn: int
    """Workers with a lower turn stop before those with a higher one."""
    state: WorkerStatus = WorkerStatus.WAITING
    pid: int = 0
    restarts: int = 0
    recycles: int = 0
    last_exit: str = ""
    deaths: deque[float] = field(default_factory=deque)
    streak: int = 0
    """Number of unexpected exits since the last stable run."""
    started_at: float = 0.0
    start_due: float | None = None
    ping: int = 0
    """Number of the unanswered ping; 0: none."""
    pinged_at: float = 0.0
    turned: int = 0
    """The newest ping that its event loop has seen."""
    missed: int = 0
    """Answers, one after the other, in which the event loop had seen no further ping."""
    was_ready: bool = False
    is_recycling: bool = False
    kill_due: float | None = None

    @property
    def is_alive(self) -> bool:
        return self.pid != 0


class Policy:
    """The state of all workers of a node. `handle` decides what is done with them."""

    def __init__(self, turns: Mapping[str, int], limits: RestartLimits) -> None:
        """`turns` maps the name of each worker to its turn to stop,
        in the order in which the workers start."""
        self.workers = {name: WorkerRecord(name, turn) for name, turn in turns.items()}
        self.is_stopping = False
        self._limits = limits
        self._ping_due: float | None = None
        self._ping_number = 0
        self._is_ready = False
        self._is_hurried = False
        self._stop_by = 0.0
        self._status = 0
        self._reason = ""
        self._has_ended = False

    def handle(self, event: Event, now: float) -> Sequence[Action]:
        """Returns the actions to carry out, in order."""
        return tuple(self._handle(event, now))

    def _handle(self, event: Event, now: float) -> Iterator[Action]:
        match event:
            case NodeStarted():
                self._ping_due = now + self._limits.ping_every
                for worker in self.workers.values():
                    yield from self._start(worker)
            case WorkerStarted(name, pid):
                yield from self._started(self.workers[name], pid, now)
            case WorkerServing(name):
                yield from self._became_ready(self.workers[name], now)
            case PongReceived(name, number, turned):
                yield from self._answered(self.workers[name], number, turned)
            case WorkerExited(name, status, configuration_error):
                yield from self._exited(self.workers[name], status, configuration_error, now)
            case RecycleRequested(name, reason):
                yield from self._recycle(self.workers[name], reason, now)
            case StopRequested():
                yield from self._stop_requested(now)
            case DeadlinePassed():
                yield from self._deadline_passed(now)

    # --- a worker's life ------------------------------------------------------------------------------------

    def _start(self, worker: WorkerRecord) -> Iterator[Action]:
        worker.start_due = None
        worker.state = WorkerStatus.STARTING
        yield StartWorker(worker.name)

    def _started(self, worker: WorkerRecord, pid: int, now: float) -> Iterator[Action]:
        worker.pid = pid
        worker.started_at = now
        worker.was_ready = False
        worker.is_recycling = False
        worker.kill_due = None
        worker.turned, worker.missed = -1, 0
        yield from self._ping(worker, now)

    def _became_ready(self, worker: WorkerRecord, now: float) -> Iterator[Action]:
        if worker.state is WorkerStatus.STARTING:
            worker.state = WorkerStatus.READY
            worker.pinged_at = now  # `pong_within` applies from here on
        worker.was_ready = True
        if not self._is_ready and all(each.was_ready for each in self.workers.values()):
            self._is_ready = True
            yield AnnounceReady()

    def _recycle(self, worker: WorkerRecord, reason: str, now: float) -> Iterator[Action]:
        if self.is_stopping or worker.is_recycling or not worker.is_alive:
            return
        worker.is_recycling = True
        worker.state = WorkerStatus.STOPPING
        worker.kill_due = now + self._limits.recycle
        yield AnnounceRecycling(worker.name, reason)
        yield RequestStop(worker.name, self._limits.recycle)

    def _exited(
        self, worker: WorkerRecord, status: int, configuration_error: str, now: float
    ) -> Iterator[Action]:
        was_recycling = worker.is_recycling and status == 0
        worker.pid = 0
        worker.ping = 0
        worker.kill_due = None
        worker.is_recycling = False
        worker.last_exit = describe_exit(status)
        if self.is_stopping:
            worker.state = WorkerStatus.STOPPED
            yield from self._next_turn(now)
        elif was_recycling:
            worker.recycles += 1
            yield from self._start(worker)
        elif status == EXIT_CONFIGURATION:
            worker.state = WorkerStatus.STOPPED
            reason = configuration_error or f"the worker {worker.name} rejected its configuration"
            yield from self._end_node(EXIT_CONFIGURATION, reason, now)
        else:
            yield from self._died(worker, now)

    def _died(self, worker: WorkerRecord, now: float) -> Iterator[Action]:
        limits = self._limits
        if now - worker.started_at >= limits.stable:
            worker.streak = 0
        worker.streak += 1
        worker.deaths.append(now)
        while worker.deaths[0] <= now - limits.death_window:
            worker.deaths.popleft()
        if len(worker.deaths) > limits.max_deaths:
            worker.state = WorkerStatus.STOPPED
            reason = (
                f"the worker {worker.name} exited {len(worker.deaths)} times within "
                f"{limits.death_window:g} s; the last time: {worker.last_exit}"
            )
            yield from self._end_node(EXIT_FAILED, reason, now)
            return
        delay = min(limits.longest_delay, limits.first_delay * 2.0 ** (worker.streak - 1))
        worker.state = WorkerStatus.WAITING
        worker.restarts += 1
        worker.start_due = now + delay
        yield AnnounceDeath(worker.name, worker.last_exit, delay)

    # --- the heartbeat ----------------------------------------------------------------------------------------

    def _ping(self, worker: WorkerRecord, now: float) -> Iterator[Action]:
        self._ping_number += 1
        worker.ping = self._ping_number
        worker.pinged_at = now
        yield PingWorker(worker.name, worker.ping)

    def _pong_due(self, worker: WorkerRecord) -> float | None:
        if not worker.ping or self.is_stopping or worker.kill_due is not None:
            return None
        limits = self._limits
        is_starting = worker.state is WorkerStatus.STARTING
        return worker.pinged_at + (limits.first_pong_within if is_starting else limits.pong_within)

    def _answered(self, worker: WorkerRecord, number: int, turned: int) -> Iterator[Action]:
        """Counts answers, not seconds, so that a process that was suspended has time to go on."""
        if worker.ping != number:
            return
        worker.ping = 0
        worker.missed = 0 if turned > worker.turned else worker.missed + 1
        worker.turned = turned
        if self.is_stopping or worker.kill_due is not None:
            return
        limits = self._limits
        seconds = worker.missed * limits.ping_every
        is_starting = worker.state is WorkerStatus.STARTING
        if seconds > (limits.first_pong_within if is_starting else limits.turn_within):
            worker.missed = 0
            yield KillWorker(worker.name, f"its event loop did not turn for {seconds:.1f} s")

    def _check_heartbeats(self, now: float) -> Iterator[Action]:
        for worker in self.workers.values():
            due = self._pong_due(worker)
            if due is not None and due <= now:
                worker.ping = 0
                yield KillWorker(worker.name, f"no answer for {now - worker.pinged_at:.1f} s")
        if self._ping_due is None or self._ping_due > now:
            return
        # All workers are pinged at the same time, so that the machine wakes up only once.
        self._ping_due = now + self._limits.ping_every
        for worker in self.workers.values():
            if worker.is_alive and not worker.ping:
                yield from self._ping(worker, now)

    # --- time -------------------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """The time at which DeadlinePassed is due; None: no deadline is set."""
        if self._has_ended:
            return None
        dues = [None if self.is_stopping else self._ping_due]
        for worker in self.workers.values():
            dues += [worker.start_due, worker.kill_due, self._pong_due(worker)]
        return min((due for due in dues if due is not None), default=None)

    def _deadline_passed(self, now: float) -> Iterator[Action]:
        due = self.deadline()
        if due is not None and now - due > self._limits.late:
            self._excuse_late_pongs(now - due)
        for worker in self.workers.values():
            if worker.kill_due is not None and worker.kill_due <= now:
                worker.kill_due = None
                yield KillWorker(worker.name, "it did not stop in time")
            if worker.start_due is not None and worker.start_due <= now:
                yield from self._start(worker)
        if not self.is_stopping:
            yield from self._check_heartbeats(now)

    def _excuse_late_pongs(self, seconds: float) -> None:
        for worker in self.workers.values():
            worker.pinged_at += seconds

    # --- the end ----------------------------------------------------------------------------------------------

    def _stop_requested(self, now: float) -> Iterator[Action]:
        if not self.is_stopping:
            yield from self._begin_stop("requested", self._limits.stop, now)
        elif not self._is_hurried:
            self._is_hurried = True
            yield from self._stop_turn(self._lowest_turn(), now)
        else:
            for worker in self.workers.values():
                if worker.is_alive:
                    yield KillWorker(worker.name, "a third signal to stop was received")

    def _end_node(self, status: int, reason: str, now: float) -> Iterator[Action]:
        self._status = status
        self._reason = reason
        self._is_hurried = True
        yield from self._begin_stop(reason, self._limits.stop, now)

    def _begin_stop(self, reason: str, seconds: float, now: float) -> Iterator[Action]:
        self.is_stopping = True
        self._stop_by = now + seconds
        yield AnnounceStop(reason)
        for worker in self.workers.values():
            worker.start_due = None
            worker.kill_due = None
            if not worker.is_alive:
                worker.state = WorkerStatus.STOPPED
        yield from self._next_turn(now)

    def _next_turn(self, now: float) -> Iterator[Action]:
        """Orders the workers with the lowest turn to stop,
        after all workers of the previous turn have exited."""
        alive = [worker for worker in self.workers.values() if worker.is_alive]
        if not alive:
            self._has_ended = True
            yield EndNode(self._status, self._reason)
            return
        turn = self._lowest_turn()
        if all(worker.kill_due is None for worker in alive if worker.turn == turn):
            yield from self._stop_turn(turn, now)

    def _lowest_turn(self) -> int:
        return min((worker.turn for worker in self.workers.values() if worker.is_alive), default=0)

    def _stop_turn(self, turn: int, now: float) -> Iterator[Action]:
        seconds = self._seconds_for(turn, now)
        for worker in self.workers.values():
            if worker.is_alive and worker.turn == turn:
                worker.state = WorkerStatus.STOPPING
                worker.kill_due = now + seconds
                yield RequestStop(worker.name, seconds)

    def _seconds_for(self, turn: int, now: float) -> float:
        limits = self._limits
        if self._is_hurried:
            return limits.hurried_stop
        alive = [worker for worker in self.workers.values() if worker.is_alive]
        later = {worker.turn for worker in alive if worker.turn > turn}
        left = self._stop_by - now - limits.stop_reserve * len(later)
        return max(left, limits.hurried_stop)


def describe_exit(status: int) -> str:
    """A text such as `exited with status 1` or `killed by SIGKILL`."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
