"""The interface between a worker's `main` and its supervisor."""

from __future__ import annotations

import asyncio
import time

from peatnode import logs
from peatnode.ipc.messages import ProblemCleared, ProblemRaised, RecycleMe, WorkerReady
from peatnode.worker.context import WorkerContext
from peatnode.worker.control_link import ControlLink


class WorkerShell:
    """Holds the configuration and the logger of `main`, and reports to the supervisor."""

    def __init__(self, context: WorkerContext, control: ControlLink) -> None:
        self.context = context
        self.config = context.config
        self.log = logs.get_logger(context.name)
        self.quota = logs.LogQuota(self.log, time.monotonic)
        """For lines that peers and clients cause."""
        self.stopping = asyncio.Event()
        self._control = control
        self._deadline = 0.0

    def ready(self) -> None:
        """Reports that the worker serves its socket."""
        self._control.send(WorkerReady())

    def raise_problem(
        self, name: str, message: str, advice: str, blocks_readiness: bool = False
    ) -> None:
        """Reports a problem to the operator. It replaces an earlier problem of the same name."""
        self._control.send(ProblemRaised(name, message, advice, blocks_readiness))

    def clear_problem(self, name: str) -> None:
        self._control.send(ProblemCleared(name))

    def recycle(self, reason: str) -> None:
        """Asks the supervisor to stop this process and to start a new one immediately."""
        self._control.send(RecycleMe(reason))

    async def wait_stop(self) -> float:
        """Waits for the order to stop. Returns the remaining time in seconds."""
        await self.stopping.wait()
        return max(0.0, self._deadline - time.monotonic())

    def stop(self, seconds: float) -> None:
        """Wakes `wait_stop`; the process must exit within `seconds`."""
        self._deadline = time.monotonic() + seconds
        self.stopping.set()
