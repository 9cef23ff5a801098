"""How far a pull has come, and how fast documents arrive."""

from __future__ import annotations

from collections import deque

from peatnode.model.tree import BUCKETS

RATE_SECONDS = 5.0
"""The rate is that of the last seconds: 0 if nothing has come for so long."""
SAMPLE_SECONDS = 0.1
"""Documents that arrive within this time are counted together."""
MIN_SPAN_SECONDS = 0.5
"""A rate over less time would say nothing."""
MIN_EXPLORED = BUCKETS // 64
"""Buckets that have to be compared before their documents tell how many the others hold."""


class FetchRate:
    """Counts what arrived within the last seconds."""

    __slots__ = ("_began_at", "_samples")

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        """When the first document of a sample came, and how many came."""
        self._began_at = 0.0

    def begin(self, now: float) -> None:
        """A pull begins. What came before counts only if it has just ended."""
        self._drop_old(now)
        if not self._samples:
            self._began_at = now

    def add(self, count: int, now: float) -> None:
        if self._samples and now - self._samples[-1][0] < SAMPLE_SECONDS:
            count += self._samples[-1][1]
            self._samples[-1] = (self._samples[-1][0], count)
        else:
            self._samples.append((now, count))
            self._drop_old(now)

    def per_second(self, now: float) -> float:
        self._drop_old(now)
        span = min(now - self._began_at, RATE_SECONDS)
        return sum(count for _, count in self._samples) / max(span, MIN_SPAN_SECONDS)

    def _drop_old(self, now: float) -> None:
        while self._samples and self._samples[0][0] <= now - RATE_SECONDS:
            self._samples.popleft()


class PullProgress:
    """What a pull has found, what of it has come, and which part of the hash tree it has yet to compare or to fetch."""

    __slots__ = ("found", "is_whole", "settled", "unexplored")

    def __init__(self) -> None:
        self.is_whole = False
        """Whether the local store was empty, so that everything is fetched."""
        self.unexplored = 0
        """Buckets that may hold documents that are not found yet."""
        self.found = 0
        """Documents for which the peer has something new."""
        self.settled = 0
        """Those of them that the store has applied, or refused, or that brought nothing."""

    @property
    def pending(self) -> int:
        return self.found - self.settled

    def expected(self) -> int:
        """The documents that are yet to come. The hash tree spreads them evenly, so that what was compared tells of the
        rest."""
        explored: int = BUCKETS - self.unexplored
        if explored < MIN_EXPLORED:
            return self.pending
        return self.pending + self.found * self.unexplored // explored
