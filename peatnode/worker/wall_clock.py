"""Reads the wall clock."""

from __future__ import annotations

import time

from peatnode.model.clock import ClockReading


def read_clock() -> ClockReading:
    """The wall clock now. The steady clock is that of the system since its boot, the same in all processes."""
    unix = time.time()
    return ClockReading(unix, unix - time.clock_gettime(time.CLOCK_BOOTTIME))
