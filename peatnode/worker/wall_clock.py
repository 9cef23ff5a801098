"""Reads the wall clock, and tells past moments by it."""

from __future__ import annotations

import time

from peatnode.model.clock import ClockReading

SET_SECONDS = 1.0
"""A larger change of `ClockReading.shift` means that the wall clock was set; a smaller one, that it is adjusted."""


def read_steady() -> float:
    """Seconds of a clock that nobody sets and that runs while the machine sleeps, the same in all processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_clock() -> ClockReading:
    """The wall clock now. The steady clock is that of the system since its boot, the same in all processes."""
    unix = time.time()
    return ClockReading(unix, unix - read_steady())


class WallTimes:
    """Tells moments of the steady clock by the wall clock as it is now, so that no duration lies after it was set.

    The Unix time of a moment changes only when the clock is set.
    """

    def __init__(self) -> None:
        self._shift = read_clock().shift

    def unix(self, steady: float) -> float:
        """The Unix seconds of a moment that `read_steady` has told."""
        shift = read_clock().shift
        if abs(shift - self._shift) > SET_SECONDS:
            self._shift = shift
        return steady + self._shift
