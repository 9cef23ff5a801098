"""How many lines others can cause: one for each peer (or address), reason and minute, with a count. No I/O."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LINE_SECONDS = 60.0
"""Minimum interval between two lines about the same thing."""

MAX_KEYS = 256
"""Things of which lines are written in a minute; all beyond them share the lines of one."""

MAX_REASONS = 16
"""Messages and reasons of one peer or address in a minute; all beyond them share one. A peer chooses some reasons."""

Key = tuple[str, str, str]
"""Message, peer or address, reason."""


@dataclass(slots=True)
class _Kept:
    since: float
    """When its last line was written."""
    dropped: int = 0


class LogQuota:
    """A logger for what comes from the network or from clients: its output is bounded, whatever they send.

    A line that was dropped is counted; the next one of its key has that number as `count`.
    """

    def __init__(self, log: Any, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        """By the time of the last line."""
        self._reasons: Counter[str] = Counter()
        """How many keys a peer or address has."""

    def __len__(self) -> int:
        return len(self._kept)

    def debug(self, message: str, about: tuple[str, str], **fields: Any) -> None:
        self._write(self._log.debug, message, about, fields)

    def info(self, message: str, about: tuple[str, str], **fields: Any) -> None:
        """`about`: the peer or address that causes the line, and the reason. Lines about the same are limited."""
        self._write(self._log.info, message, about, fields)

    def warning(self, message: str, about: tuple[str, str], **fields: Any) -> None:
        self._write(self._log.warning, message, about, fields)

    def error(self, message: str, about: tuple[str, str], **fields: Any) -> None:
        self._write(self._log.error, message, about, fields)

    def _write(
        self, write: Callable[..., None], message: str, about: tuple[str, str], fields: Any
    ) -> None:
        count = self.admit(message, *about)
        if count == 0:
            write(message, **fields)
        elif count is not None:
            write(message, **fields, count=count)

    def admit(self, message: str, who: str, reason: str) -> int | None:
        """The number of lines that were dropped before this one; None: this one is dropped, too."""
        now = self._now()
        key = self._find(message, who, reason, now)
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = _Kept(now)
            self._reasons[key[1]] += 1
            return 0
        if now - kept.since < LINE_SECONDS:
            kept.dropped += 1
            return None
        dropped, kept.dropped, kept.since = kept.dropped, 0, now
        self._kept.move_to_end(key)
        return dropped

    def _find(self, message: str, who: str, reason: str, now: float) -> Key:
        """The key under which a line is counted: its own, as long as there is room for it."""
        key = (message, who, reason)
        if key in self._kept:
            return key
        if len(self._kept) >= MAX_KEYS or self._reasons[who] >= MAX_REASONS:
            self._forget_old(now)
        if len(self._kept) >= MAX_KEYS:
            return ("", "", "")
        return key if self._reasons[who] < MAX_REASONS else ("", who, "")

    def _forget_old(self, now: float) -> None:
        while self._kept:
            key, kept = next(iter(self._kept.items()))
            if now - kept.since < LINE_SECONDS:
                return
            del self._kept[key]
            self._reasons[key[1]] -= 1
            if not self._reasons[key[1]]:
                del self._reasons[key[1]]
