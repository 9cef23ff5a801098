"""What a worker's `main` receives: its configuration, its problems, its stop."""

from __future__ import annotations

import asyncio
import time

from peatnode import logs
from peatnode.ipc.messages import (
    Ping,
    Pong,
    ProblemCleared,
    ProblemRaised,
    RecycleMe,
    StopWorker,
    WorkerReady,
)
from peatnode.worker.context import WorkerContext
from peatnode.worker.control_link import ControlLink
from peatnode.worker.lifetime import leave
from peatnode.worker.memory import MemoryGauge, family_memory_bytes


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
