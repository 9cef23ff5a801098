"""Reads the wall clock, and tells past moments by it."""

from __future__ import annotations

import time
from collections.abc import Callable

from peatnode.model.clock import SET_SECONDS, ClockReading


def read_steady() -> float:
    """Seconds of a clock that nobody sets and that runs while the machine sleeps, the same in all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_clock() -> ClockReading:
    """The wall clock now. The steady clock is that of the system since its boot, the same in all processes."""
    unix = time.time()
    return ClockReading(unix, unix - read_steady())


class WallTimes:
    """Tells moments of another clock by the wall clock as it is now, so that no duration lies after it was set.

    The Unix time of a moment changes only when the wall clock is set, or the other clock has stood still.
    """

    def __init__(self, read: Callable[[], float] = read_steady) -> None:
        """`read` tells the time of the other clock, in seconds."""
        self._read = read
        self._shift = time.time() - read()

    def unix(self, at: float) -> float:
        """The Unix seconds of a moment that the other clock has told."""
        shift = time.time() - self._read()
        if abs(shift - self._shift) > SET_SECONDS:
            self._shift = shift
        return at + self._shift
