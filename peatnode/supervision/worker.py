"""What every worker process has in common: the control link, the heartbeat, logs, signals, the way out.

A worker's module has `run(context)`, called in the forked child, which calls `run_worker(context, main)`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from peatnode import logs
from peatnode.config import Config
from peatnode.errors import BadConfiguration, PeatnodeError
from peatnode.ipc.frames import FrameBuffer, decode_content, encode_frame
from peatnode.ipc.messages import (
    CONTRACT,
    Hello,
    Message,
    Ping,
    Pong,
    ProblemCleared,
    ProblemRaised,
    RecycleMe,
    StopWorker,
    WorkerReady,
)

EXIT_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h: starting again would not help."""

MEMORY_SECONDS = 30.0
"""How old a worker's figure for its memory may be."""

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What the supervisor gives a worker at its fork."""

    name: str
    config: Config
    instance: str
    """32 hex digits, of this start of the node."""
    control: socket.socket
    listeners: Mapping[str, socket.socket]
    """Bound sockets by name: the worker's own Unix socket, `quic` (UDP), `http` (TCP)."""
    node_started_at: float
    """Unix seconds."""


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when the supervisor ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died between the fork and the line above
        os._exit(1)


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process; 0 where the kernel does not tell."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it has just ended, or /proc is not what it should be
        pass
    return 0


def family_memory_bytes(pid: int) -> int:
    """Of a process and all that it has forked: gunicorn's workers are the broker's memory."""
    total = memory_bytes(pid)
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            total += sum(family_memory_bytes(int(child)) for child in children.read_text().split())
    return total


class MemoryGauge:
    """Measures this process now and then: the kernel walks through all pages for it, a millisecond or two."""

    def __init__(self, measure: Callable[[int], int]) -> None:
        self._measure = measure
        self._bytes = 0
        self._due: float | None = None

    def read(self) -> int:
        """Bytes, not older than MEMORY_SECONDS."""
        now = time.monotonic()
        if self._due is None or now >= self._due:
            self._bytes = self._measure(os.getpid())
            # The first is taken while the worker starts: the next one comes soon.
            self._due = now if self._due is None else now + MEMORY_SECONDS
        return self._bytes


class ControlLink:
    """The worker's end of its socket pair with the supervisor. Writes may come from any thread.

    The socket blocks, so that a frame is never written by half; what is read is what is there.
    """

    def __init__(self, sock: socket.socket, worker: str) -> None:
        self.socket = sock
        self._worker = worker
        self._frames = FrameBuffer()
        self._lock = threading.Lock()

    def say(self, message: Message) -> None:
        """A supervisor that is gone is noticed by the reader."""
        with self._lock:
            try:
                self.socket.sendall(encode_frame(message, 0))
            except OSError:
                return

    def greet(self) -> None:
        self.say(Hello(self._worker, os.getpid(), CONTRACT))

    def receive(self) -> list[Message] | None:
        """What has come since; None: the supervisor is gone."""
        try:
            data = self.socket.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        return [decode_content(content)[1] for content in self._frames.receive_data(data)]


class WorkerShell:
    """What a worker's `main` gets: its configuration, and its say to the supervisor."""

    def __init__(self, context: WorkerContext, control: ControlLink) -> None:
        self.context = context
        self.config = context.config
        self.log = logs.get_logger(context.name)
        self.stopping = asyncio.Event()
        self._control = control
        self._deadline = 0.0
        self._memory = MemoryGauge(family_memory_bytes)
        self._loop = asyncio.get_running_loop()

    def ready(self) -> None:
        """The worker serves what it serves."""
        self._control.say(WorkerReady())

    def raise_problem(
        self, name: str, message: str, advice: str, blocks_readiness: bool = False
    ) -> None:
        """Something is wrong that an operator should see; the same name again replaces it."""
        self._control.say(ProblemRaised(name, message, advice, blocks_readiness))

    def clear_problem(self, name: str) -> None:
        self._control.say(ProblemCleared(name))

    def recycle(self, reason: str) -> None:
        """Asks to be replaced: the supervisor answers with a stop, and starts another at once."""
        self._control.say(RecycleMe(reason))

    async def wait_stop(self) -> float:
        """Until the worker is to stop; returns the seconds that are left for it."""
        await self.stopping.wait()
        return max(0.0, self._deadline - time.monotonic())

    def stop(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self.stopping.set()

    def control_readable(self) -> None:
        """Carries out what the supervisor says; without a supervisor there is nothing left to do."""
        messages = self._control.receive()
        if messages is None:
            leave(1)
        for message in messages:
            match message:
                case Ping(number):
                    # How long the loop takes to come to a callback is how late everything else is, too.
                    self._loop.call_soon(self._pong, number, self._loop.time())
                case StopWorker(seconds):
                    self.stop(seconds)

    def _pong(self, number: int, asked_at: float) -> None:
        stall = self._loop.time() - asked_at
        self._control.say(Pong(number, self._memory.read(), stall))


def settle_memory() -> None:
    """What has been imported is here to stay: the collector looks no more at it, and begins its work."""
    gc.freeze()
    gc.enable()


def leave(status: int) -> NoReturn:
    """Ends this process now: no handlers of the parent's run in a forked child."""
    _save_coverage()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody takes it any more
            stream.flush()
    os._exit(status)


def _save_coverage() -> None:
    """os._exit skips what the coverage tool does at exit."""
    if "coverage" in sys.modules:
        import coverage

        running = coverage.Coverage.current()
        if running is not None:
            running.stop()
            running.save()


def run_worker(context: WorkerContext, main: Callable[[WorkerShell], Awaitable[None]]) -> NoReturn:
    """Runs `main` on a loop of its own until it returns, and leaves with an exit status."""
    settle_memory()
    logs.configure(context.config.log_filter, context.config.log_format, context.name)
    control = ControlLink(context.control, context.name)
    control.greet()
    log = logs.get_logger(context.name)
    try:
        import uvloop

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is the supervisor's
        uvloop.run(_run(context, control, main))
    except Exception as error:  # the one place: a worker in doubt exits, the supervisor decides
        refusal = _find_refusal(error)
        if refusal is not None:
            control.say(ProblemRaised("configuration", str(refusal), "", blocks_readiness=True))
            leave(EXIT_CONFIGURATION)
        if isinstance(error, PeatnodeError):
            log.error("Worker failed", reason=str(error), kind=type(error).__name__)
        else:
            log.exception("Worker failed")
        leave(1)
    leave(0)


def _find_refusal(error: BaseException) -> BadConfiguration | None:
    """Also within the group that a TaskGroup makes of it."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_find_refusal, error.exceptions)), None)
    return error if isinstance(error, BadConfiguration) else None


async def _run(
    context: WorkerContext, control: ControlLink, main: Callable[[WorkerShell], Awaitable[None]]
) -> None:
    loop = asyncio.get_running_loop()
    shell = WorkerShell(context, control)
    loop.add_reader(context.control.fileno(), shell.control_readable)
    loop.add_signal_handler(signal.SIGTERM, shell.stop, 10.0)
    loop.set_exception_handler(_crash)
    try:
        await main(shell)
    finally:
        loop.remove_reader(context.control.fileno())


def _crash(loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
    """An error that nobody awaits is an impossible state of ours, and the worker starts anew; but transports report
    here, too, what the network did to them."""
    error = about.get("exception")
    log = logs.get_logger("loop")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        log.error("Worker failed in the background", about=about.get("message"), exc_info=error)
        leave(1)
    log.warning("Unhandled in the background", about=about.get("message"), error=repr(error))


def answer_control_in_thread(
    context: WorkerContext,
    on_stop: Callable[[float], None],
    measure_stall: Callable[[], float] = lambda: 0.0,
) -> ControlLink:
    """For a process whose main thread is not ours (gunicorn's arbiter): a thread answers the heartbeat.

    `on_stop(seconds)` is called in that thread when the supervisor orders the stop, `measure_stall()` at each
    heartbeat, for the seconds that the loops behind this process were late. The link can be used to say WorkerReady
    and problems. If the supervisor goes, the process ends.
    """
    settle_memory()
    control = ControlLink(context.control, context.name)
    control.greet()
    memory = MemoryGauge(family_memory_bytes)

    def serve() -> None:
        while True:
            select.select([context.control], [], [])
            messages = control.receive()
            if messages is None:
                leave(1)
            for message in messages:
                match message:
                    case Ping(number):
                        control.say(Pong(number, memory.read(), measure_stall()))
                    case StopWorker(seconds):
                        on_stop(seconds)

    threading.Thread(target=serve, name="control", daemon=True).start()
    return control
