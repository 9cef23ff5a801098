"""How long the event loop may work without a pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TURN_SECONDS = 0.01
"""Work without a pause. Then reads, other connections and the supervisor have a turn."""
LARGE_BYTES = 32 * 1024
"""A larger update or state is decoded, packed or merged in a thread: a struct takes some microseconds."""


class Pace:
    """Measures work on the event loop since the last pause."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()

    def begin(self) -> None:
        """Work begins now."""
        self._since = self._clock()

    @property
    def is_pause_due(self) -> bool:
        return self._clock() - self._since > TURN_SECONDS

    async def pause(self) -> None:
        """Gives the event loop a turn."""
        await asyncio.sleep(0)
        self._since = self._clock()
