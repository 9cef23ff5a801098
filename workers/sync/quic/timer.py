"""A timer of the event loop that can be moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` once at the time that is set; setting another time moves it."""

    __slots__ = ("_at", "_handle", "_loop", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._at: float | None = None
        self._handle: asyncio.Handle | None = None

    def set(self, at: float | None) -> None:
        """None cancels it."""
        if at == self._at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        self._handle = None if at is None else self._loop.call_at(at, self._due)

    def _due(self) -> None:
        self._at = self._handle = None
        self._ring()
