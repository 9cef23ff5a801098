"""How far the clock of this node is from the median of the clocks of its connected peers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from peatnode.protocol.clock.sentences import deviates

DEVIATION_SECONDS = 5.0
"""A clock that is further from the median than this is a finding."""

SETTLED_SECONDS = 4.0
"""A finding ends when the clock is at most this far from the median, so that it does not flap."""

NEWS_SECONDS = 1.0
"""The sentence of a finding is made anew if the difference has changed by more than this."""


def ahead_of_median(ahead: Collection[float]) -> float:
    """The own clock minus the median, in seconds. `ahead`: the own clock minus that of each peer; not empty.

    The own clock, which is 0 ahead of itself, counts if the peers are even in number. So the median is always the
    clock of somebody, and of three nodes only the one that is wrong is far from it. With one peer it is that peer's.
    """
    clocks = sorted((*ahead, 0.0) if len(ahead) % 2 == 0 else ahead)
    return clocks[len(clocks) // 2]


class ClockDeviation:
    """The distance from the median, and the sentence of the finding while it is large."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        """The own clock minus the median; None: no connected peer has told the time."""
        self.sentence = ""
        """Empty: the distance is small."""
        self._said: tuple[float, tuple[str, ...]] = (0.0, ())
        """The distance and the peers of the sentence."""

    def review(self, ahead: Mapping[str, float]) -> None:
        """`ahead`: the own clock minus that of each connected peer, by node id."""
        self.seconds = ahead_of_median(ahead.values()) if ahead else None
        limit = SETTLED_SECONDS if self.sentence else DEVIATION_SECONDS
        if self.seconds is None or abs(self.seconds) <= limit:
            self.sentence = ""
            return
        said, peers = self._said
        if not self.sentence or peers != tuple(ahead) or abs(self.seconds - said) > NEWS_SECONDS:
            self._said = (self.seconds, tuple(ahead))
            self.sentence = deviates(self.seconds, tuple(ahead))
