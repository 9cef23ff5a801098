"""A timer of the event loop that can be set again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class LoopTimer:
    """Calls `callback` once at the time that is set. Setting another time replaces the first one."""

    __slots__ = ("_at", "_callback", "_handle", "_loop")

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._at: float | None = None
        self._handle: asyncio.Handle | None = None

    def set(self, at: float | None) -> None:
        """Sets the time, in seconds of the event loop; None cancels the timer."""
        if at == self._at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._at = at
        self._handle = None if at is None else self._loop.call_at(at, self._due)

    def _due(self) -> None:
        self._at = self._handle = None
        self._callback()
