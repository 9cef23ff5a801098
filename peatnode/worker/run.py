"""Runs a worker on an event loop of its own.

A worker's module has `run(context)`, which the forked child calls, and which calls `run_worker(context, main)`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from peatnode import logs
from peatnode.errors import EXIT_CONFIGURATION, BadConfiguration, PeatnodeError
from peatnode.ipc.messages import ProblemRaised
from peatnode.worker.context import WorkerContext
from peatnode.worker.control_link import ControlLink
from peatnode.worker.lifetime import leave
from peatnode.worker.memory import settle_memory
from peatnode.worker.shell import WorkerShell


def run_worker(context: WorkerContext, main: Callable[[WorkerShell], Awaitable[None]]) -> NoReturn:
    """Runs `main` on an event loop of its own until it returns, then exits."""
    settle_memory()
    logs.configure(context.config.log_filter, context.config.log_format, context.name)
    control = ControlLink(context.control, context.name)
    control.greet()
    log = logs.get_logger(context.name)
    try:
        import uvloop

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor handles Ctrl-C of a terminal
        uvloop.run(_run(context, control, main))
    except (
        Exception
    ) as error:  # the only place: a worker in doubt exits, and the supervisor decides
        refusal = _find_refusal(error)
        if refusal is not None:
            control.send(ProblemRaised("configuration", str(refusal), "", blocks_readiness=True))
            leave(EXIT_CONFIGURATION)
        if isinstance(error, PeatnodeError):
            log.error("Worker failed", reason=str(error), kind=type(error).__name__)
        else:
            log.exception("Worker failed")
        leave(1)
    leave(0)


def _find_refusal(error: BaseException) -> BadConfiguration | None:
    """The BadConfiguration, also inside the group that a TaskGroup raises."""
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
    """Exits after an error that no task awaits, which is a defect of ours; transports also report network errors
    here, and those are only logged."""
    error = about.get("exception")
    log = logs.get_logger("loop")
    if isinstance(error, Exception) and not isinstance(error, OSError):
        log.error("Worker failed in the background", about=about.get("message"), exc_info=error)
        leave(1)
    log.warning("Unhandled in the background", about=about.get("message"), error=repr(error))
