"""Pushes the local feed to one peer in batches, with a limited number of unacknowledged batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peatnode.model.feed import Change
from peatnode.model.peer_limits import MAX_PUSH_BYTES, MAX_PUSH_CHANGES, PUSH_WINDOW
from peatnode.protocol.sync.pushes.push_log import PushLog, size_of
from peatnode.protocol.wire.messages import Push

ACK_SECONDS = 20.0
"""A push that is not acknowledged within this time is abandoned; anti-entropy finds its changes."""


@dataclass(slots=True)
class _InFlight:
    upto: int
    """Sequence of its last change."""
    changes: int
    sent_at: float
    is_acked: bool = False


class PushWindow:
    """The changes that were pushed to one peer, and those that it has acknowledged.

    The peer has every change after `pushed_from` and up to `acked`, and every change up to `equal_at`.
    """

    def __init__(self, log: PushLog) -> None:
        self._log = log
        self._cursor = log.end
        self._in_flight: dict[int, _InFlight] = {}
        self._last_number = 0
        self.pushed_from = log.upto
        """Changes after this sequence and up to `acked` were all pushed and acknowledged."""
        self.acked = log.upto
        self.equal_at = -1
        """Sequence at which the roots were equal; -1: never."""

    @property
    def cursor(self) -> int:
        return self._cursor

    @property
    def waiting(self) -> int:
        """Number of changes that are not yet acknowledged."""
        in_flight = sum(flight.changes for flight in self._in_flight.values())
        return in_flight + self._log.end - self._cursor

    @property
    def oldest_sent_at(self) -> float | None:
        return min((flight.sent_at for flight in self._in_flight.values()), default=None)

    def has(self, sequence: int) -> bool:
        """Whether the peer is known to have this change on disk."""
        return self.equal_at >= sequence or self.pushed_from < sequence <= self.acked

    def mark_equal(self, sequence: int) -> None:
        """Records that the roots were equal at `sequence`."""
        self.equal_at = max(self.equal_at, sequence)

    def next_push(self, is_needed: Callable[[Change], bool], now: float) -> Push | None:
        """Returns the next batch; None if the window is full or no change waits."""
        if len(self._in_flight) >= PUSH_WINDOW:
            return None
        log = self._log
        if self._cursor < log.first:
            self._cursor = log.first
            self._lose()
        positions: list[int] = []
        size = 0
        while self._cursor < log.end and len(positions) < MAX_PUSH_CHANGES:
            change = log.change_at(self._cursor)
            if is_needed(change):
                if positions and size + size_of(change) > MAX_PUSH_BYTES:
                    break
                positions.append(self._cursor)
                size += size_of(change)
            self._cursor += 1
        if not positions:
            if not self._in_flight:
                self.acked = max(self.acked, log.upto)
            return None
        self._last_number += 1
        upto = log.change_at(positions[-1]).sequence
        self._in_flight[self._last_number] = _InFlight(upto, len(positions), now)
        return Push(self._last_number, log.pack(positions))

    def acknowledge(self, number: int, is_complete: bool) -> None:
        flight = self._in_flight.get(number)
        if flight is None:
            return
        flight.is_acked = True
        if not is_complete:
            self._lose(flight.upto)
        while self._in_flight:
            oldest = next(iter(self._in_flight))
            if not self._in_flight[oldest].is_acked:
                break
            self.acked = max(self.acked, self._in_flight.pop(oldest).upto)

    def abandon(self) -> None:
        """Abandons the unacknowledged pushes, so that the next changes may be pushed."""
        self._in_flight.clear()
        self._lose()

    def skip_gap(self) -> None:
        """Continues after a gap of the local feed."""
        self._lose()

    def restart_feed(self) -> None:
        """Continues after a restart of the local feed, whose sequences differ from the acknowledged ones."""
        self._in_flight.clear()
        self.pushed_from = self.acked = self._log.upto
        self.equal_at = -1

    def _lose(self, upto: int = -1) -> None:
        """Forgets that changes up to here are acknowledged without a gap: `has` must not claim them."""
        self.pushed_from = max(self.pushed_from, self.acked, upto, self._sequence_before_cursor())

    def _sequence_before_cursor(self) -> int:
        log = self._log
        if log.first < self._cursor <= log.end:
            return log.change_at(self._cursor - 1).sequence
        return log.upto if self._cursor >= log.end else -1
