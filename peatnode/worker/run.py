"""Runs a worker on an event loop of its own.

The forked child calls `run(context)` of the worker's module, which calls `run_worker(context, main)`.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from peatnode import logs
from peatnode.errors import EXIT_CONFIGURATION, BadConfiguration, PeatnodeError
from peatnode.ipc.messages import ProblemRaised
from peatnode.worker.context import WorkerContext
from peatnode.worker.control_link import ControlLink
from peatnode.worker.heartbeat import answer_in_thread
from peatnode.worker.lifetime import exit_process
from peatnode.worker.memory import settle_memory
from peatnode.worker.shell import WorkerShell


def run_worker(
    context: WorkerContext,
    main: Callable[[WorkerShell], Awaitable[None]],
    answer_control: Callable[[WorkerShell, ControlLink], None] = answer_in_thread,
) -> NoReturn:
    """Runs `main` on an event loop of its own until it returns, then exits.

    `answer_control` begins to answer the supervisor: in a thread, or in the loop of a worker that forks.
    """
    settle_memory()
    logs.configure(context.config.log_filter, context.config.log_format, context.name)
    control = ControlLink(context.control, context.name)
    control.greet()
    log = logs.get_logger(context.name)
    try:
        import uvloop

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor handles Ctrl-C of a terminal
        uvloop.run(_run(context, control, main, answer_control))
    except Exception as error:  # after any failure the worker exits, and the supervisor decides
        bad = _find_bad_configuration(error)
        if bad is not None:
            control.send(ProblemRaised("configuration", str(bad), "", blocks_readiness=True))
            exit_process(EXIT_CONFIGURATION)
        if isinstance(error, PeatnodeError):
            log.error("Worker failed", reason=str(error), kind=type(error).__name__)
        else:
            log.exception("Worker failed")
        exit_process(1)
    exit_process(0)


def _find_bad_configuration(error: BaseException) -> BadConfiguration | None:
    """The BadConfiguration itself, or the first one in the group that a TaskGroup raises."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_find_bad_configuration, error.exceptions)), None)
    return error if isinstance(error, BadConfiguration) else None


async def _run(
    context: WorkerContext,
    control: ControlLink,
    main: Callable[[WorkerShell], Awaitable[None]],
    answer_control: Callable[[WorkerShell, ControlLink], None],
) -> None:
    loop = asyncio.get_running_loop()
    shell = WorkerShell(context, control)
    answer_control(shell, control)
    loop.add_signal_handler(signal.SIGTERM, shell.stop, 10.0)
    quota = logs.LogQuota(logs.get_logger("loop"), time.monotonic)
    loop.set_exception_handler(lambda loop, about: _handle_unawaited_error(quota, about))
    await main(shell)


def _handle_unawaited_error(quota: logs.LogQuota, about: dict[str, Any]) -> None:
    """Exits after an error that no task awaits, because it is a defect. Network errors, which transports
    also report here, are only logged."""
    error = about.get("exception")
    text = str(about.get("message"))
    if isinstance(error, Exception) and not isinstance(error, OSError):
        quota.error("Worker failed in the background", ("", ""), text=text, exc_info=error)
        exit_process(1)
    quota.warning("Network error in the background", ("", text), text=text, error=repr(error))
