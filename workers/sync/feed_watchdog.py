"""Detects a feed that delivers no changes although the store has newer ones."""

from __future__ import annotations

from peatnode.protocol.sync.session import ROOT_SECONDS

STUCK_SECONDS = 2 * ROOT_SECONDS
"""About two rounds of anti-entropy. A feed that is behind and does not advance for longer is reopened."""


class FeedWatchdog:
    """Compares the sequence of the feed with the sequence in other answers of the store."""

    __slots__ = ("_since", "_stuck_seconds", "_upto")

    def __init__(self, stuck_seconds: float = STUCK_SECONDS) -> None:
        self._stuck_seconds = stuck_seconds
        self._upto = -1
        self._since: float | None = None
        """When the feed was first seen behind at `_upto`."""

    def is_stuck(self, upto: int, sequence: int, now: float) -> bool:
        """Whether a feed that delivered changes up to `upto` must be reopened.
        Returning True restarts the wait."""
        if upto < 0 or sequence <= upto:
            self._since = None
        elif self._since is None or upto != self._upto:
            self._since, self._upto = now, upto
        elif now - self._since > self._stuck_seconds:
            self._since = None
            return True
        return False
