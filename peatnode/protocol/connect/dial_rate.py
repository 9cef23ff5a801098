"""Bounds the dials to absent members: an absent member costs little, however many there are."""

from __future__ import annotations

SECONDS_BETWEEN = 0.5
"""On average, between two dials to absent members."""

AT_ONCE = 8
"""Dials that may be made at once after a pause, so that a small mesh is whole soon after a start."""


class DialRate:
    """At most AT_ONCE dials at once, and one each SECONDS_BETWEEN on average."""

    def __init__(self) -> None:
        self._counted_to = 0.0
        """Time until which the dials that were made use up the rate."""

    @property
    def free_at(self) -> float:
        """When the next dial may be made."""
        return self._counted_to - (AT_ONCE - 1) * SECONDS_BETWEEN

    def take(self, now: float) -> bool:
        """Whether a dial may be made now; counts it if so."""
        if now < self.free_at:
            return False
        self._counted_to = max(self._counted_to, now) + SECONDS_BETWEEN
        return True
