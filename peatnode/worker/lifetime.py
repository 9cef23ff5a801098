"""How a worker process ends: with its supervisor, or by itself."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """The kernel kills this process when the supervisor ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died between the fork and the line above
        os._exit(1)


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
