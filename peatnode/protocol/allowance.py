"""How much a sender may send now, by its rate."""

from __future__ import annotations

import math

from peatnode.model.peer_limits import Rate


class Allowance:
    """The allowance of one sender: messages cost time, of which `burst_seconds` may be taken in advance.

    The generic cell rate algorithm (ITU-T I.371).
    """

    __slots__ = ("_rate", "_used_until")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._used_until = -math.inf
        """Time until which what was sent uses up the rate."""

    def take(self, size: int, now: float) -> bool:
        """Whether a message of `size` bytes may be sent now; counts it if so."""
        until = max(self._used_until, now) + self._cost(size)
        if until > now + self._rate.burst_seconds:
            return False
        self._used_until = until
        return True

    def seconds_until(self, size: int, now: float) -> float:
        """The time after which `take` accepts it."""
        return max(0.0, self._used_until + self._cost(size) - self._rate.burst_seconds - now)

    def _cost(self, size: int) -> float:
        return max(size / self._rate.bytes, 1 / self._rate.messages)
