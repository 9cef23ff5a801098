"""Notices a feed that tells nothing more although its store goes on."""

from __future__ import annotations

from peatnode.protocol.sync.session import ROOT_SECONDS

PATIENCE_SECONDS = 2 * ROOT_SECONDS
"""A feed that is behind and does not move for so long, about two rounds of anti-entropy, is opened anew."""


class FeedWatchdog:
    """Told the store's sequence whenever it is heard of otherwise than from the feed."""

    __slots__ = ("_patience", "_since", "_upto")

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._upto = -1
        self._since: float | None = None
        """Since when the feed has been seen behind at `_upto`."""

    def is_stuck(self, upto: int, sequence: int, now: float) -> bool:
        """Whether a feed told as far as `upto` should be opened anew. Having said so it begins to wait again."""
        if upto < 0 or sequence <= upto:
            self._since = None
        elif self._since is None or upto != self._upto:
            self._since, self._upto = now, upto
        elif now - self._since > self._patience:
            self._since = None
            return True
        return False
