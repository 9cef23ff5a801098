"""The end of a worker process: it exits when the supervisor exits, or on its own decision."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Asks the kernel to kill this process when the supervisor exits for any reason."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the supervisor exited between the fork and the line above
        os._exit(1)


def exit_process(status: int) -> NoReturn:
    """Exits immediately, because the exit handlers of the parent must not run in a forked child."""
    _save_coverage()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # the stream is closed
            stream.flush()
    os._exit(status)


def _save_coverage() -> None:
    """Saves the data of the coverage tool, because os._exit skips its exit handler."""
    if "coverage" in sys.modules:
        import coverage

        running = coverage.Coverage.current()
        if running is not None:
            running.stop()
            running.save()
