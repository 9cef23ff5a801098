"""The answers to the supervisor's pings: from the event loop itself, or from a thread that watches it."""

from __future__ import annotations

import asyncio
import contextlib

from peatnode.ipc.messages import Ping, Pong, StopWorker
from peatnode.worker.control_link import ControlLink
from peatnode.worker.lifetime import exit_process
from peatnode.worker.memory import MemoryGauge, family_memory_bytes
from peatnode.worker.shell import WorkerShell
from peatnode.worker.threaded import serve_control_in_thread


class LoopWatch:
    """Notes which pings the event loop has seen, and how late. A thread asks, the loop answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._memory = MemoryGauge(family_memory_bytes)
        self._turned = 0
        self._stall = 0.0
        self._waits_since: float | None = None

    def ping(self, number: int) -> Pong:
        """The answer to a ping, at once; the loop is asked whether it turns, and the next answer says so.

        The delay in the answer is that of the last ping that the loop has seen, or of the one that it has not seen yet.
        """
        now = self._loop.time()
        stall = self._stall if self._waits_since is None else now - self._waits_since
        answer = Pong(number, self._memory.read(), stall, self._turned)
        if self._waits_since is None:
            self._waits_since = now
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
            self._loop.call_soon_threadsafe(self._seen, number)
        return answer

    def _seen(self, number: int) -> None:
        """Runs in the event loop."""
        if self._waits_since is not None:
            self._stall = self._loop.time() - self._waits_since
        self._waits_since = None
        self._turned = number


def answer_in_thread(shell: WorkerShell, control: ControlLink) -> None:
    """Answers pings while the event loop works. The supervisor decides for how long it may do so."""
    loop = asyncio.get_running_loop()
    watch = LoopWatch(loop)
    serve_control_in_thread(control, watch.ping, lambda seconds: _call_stop(loop, shell, seconds))


def _call_stop(loop: asyncio.AbstractEventLoop, shell: WorkerShell, seconds: float) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
        loop.call_soon_threadsafe(shell.stop, seconds)


def answer_in_loop(shell: WorkerShell, control: ControlLink) -> None:
    """Answers pings from the event loop, in a worker that forks and so may have no thread."""
    loop = asyncio.get_running_loop()
    memory = MemoryGauge(family_memory_bytes)

    def pong(number: int, asked_at: float) -> None:
        # The delay of this callback is the delay of every callback in the loop.
        stall = loop.time() - asked_at
        control.send(Pong(number, memory.read(), stall, number))

    def readable() -> None:
        messages = control.receive()
        if messages is None:
            exit_process(1)
        for message in messages:
            match message:
                case Ping(number):
                    loop.call_soon(pong, number, loop.time())
                case StopWorker(seconds):
                    shell.stop(seconds)

    loop.add_reader(control.socket.fileno(), readable)
