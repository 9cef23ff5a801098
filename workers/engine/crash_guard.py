"""The crash guard: after an operation has killed an engine, operations run in a forked child first, for a minute.

Therefore a client can kill the engine once a minute at most. The operations of a message that would kill it run alone
instead (`alone.py`), and the one that is to blame kills nothing but its own process.
"""

from __future__ import annotations

import mmap
import os
import signal
import struct
import time
from collections.abc import Sequence
from pathlib import Path

from peatnode.errors import DISK_ERRORS
from peatnode.ipc.messages import Operation
from workers.engine.pool import DocumentPool

GUARD_SECONDS = 60.0
"""Time after the death of an engine during which operations run in a child first."""
CHILD_SECONDS = 3
"""A child that runs longer is killed, and its operations count as fatal."""
LIGHT_SECONDS = 1.0
"""CPU time of an operation that does not run alone. They are small, and most take some milliseconds."""

_BUSY = struct.Struct("<B7xd")


class CrashMarker:
    """A file that outlives the engine: whether an operation is running, and when one has last killed the engine."""

    def __init__(self, path: Path) -> None:
        self._page = _map_file(path)
        was_busy, last_death = _BUSY.unpack(self._page)
        self._last_death = time.monotonic() if was_busy else min(last_death, time.monotonic())
        self.leave()

    def enter(self) -> None:
        """Marks that an operation is running."""
        self._page[0] = 1

    def leave(self) -> None:
        """Marks that no operation is running."""
        self._page[:] = _BUSY.pack(0, self._last_death)

    @property
    def is_guarding(self) -> bool:
        """Whether an operation has killed an engine within GUARD_SECONDS."""
        return 0 < self._last_death > time.monotonic() - GUARD_SECONDS


def _map_file(path: Path) -> mmap.mmap:
    """The file, or memory of this process alone where the disk takes no files: then no death is remembered."""
    try:
        with open(path, "a+b") as file:
            if file.seek(0, os.SEEK_END) < _BUSY.size:
                file.write(bytes(_BUSY.size))
                file.flush()
            return mmap.mmap(file.fileno(), _BUSY.size)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        return mmap.mmap(-1, _BUSY.size)


def is_survivable(pool: DocumentPool, operations: Sequence[Operation]) -> bool:
    """Whether the engine would survive these operations, as a forked child finds out."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(CHILD_SECONDS)
            for operation in operations:
                set_deadline()
                pool.run(operation)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def set_deadline(seconds: float = LIGHT_SECONDS) -> None:
    """The kernel ends this process after so much CPU time, whatever it is doing; 0: never."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
