"""Deadlines by key, of which the earliest is found quickly."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class Timers(Generic[KeyT]):
    """One deadline for each key. Setting the deadline of a key again replaces it."""

    __slots__ = ("_deadlines", "_heap", "_order")

    def __init__(self) -> None:
        self._deadlines: dict[KeyT, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._order = 0

    def set(self, key: KeyT, at: float) -> None:
        self._order += 1
        self._deadlines[key] = (at, self._order)
        heapq.heappush(self._heap, (at, self._order, key))

    def cancel(self, key: KeyT) -> None:
        self._deadlines.pop(key, None)

    def is_set(self, key: KeyT) -> bool:
        return key in self._deadlines

    @property
    def next_at(self) -> float | None:
        self._drop_outdated()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> KeyT | None:
        """Removes and returns one key whose deadline has passed; None if there is none."""
        self._drop_outdated()
        if not self._heap or self._heap[0][0] > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._deadlines[key]
        return key

    def _drop_outdated(self) -> None:
        while self._heap:
            at, order, key = self._heap[0]
            if self._deadlines.get(key) == (at, order):
                return
            heapq.heappop(self._heap)
