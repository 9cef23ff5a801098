"""Whose turn it is to be pulled from: peers take turns, and those whose pulls brought nothing come last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

PULLING_SECONDS = 2.0
"""A pull that applied a document within this time defers all others, which would fetch the same documents. So does one
that has just begun."""

STALLED_SECONDS = 20.0
"""A pull that applied no document for this time is ended: answers are no progress, because a peer can give empty ones
without end. So a link has to carry one answer of documents in this time: 256 KiB before compression (13 kB/s), or one
larger document. A comparison that takes longer goes on in the next pull where this one was."""

TURN_SECONDS = 30.0
"""A pull is ended after this time if another peer waits, whatever it brings."""

CALLED_SECONDS = 2.0
"""Who is called and does not begin within this time lets the next one go first."""

OVERDUE_SECONDS = 60.0
"""Who has waited for two turns goes first, whatever its pulls brought: peers that bring a little in each pull cannot
keep it waiting for ever."""


STALLED, TURN_OVER = "stalled", "turn over"
ENDS = (STALLED, TURN_OVER)
"""Why a pull is ended before it is done."""


class Puller(Protocol):
    """The part of a session that the turns use."""

    def compare_again(self) -> None:
        """Compares roots at once; a pull begins if they still differ."""

    def end_pull(self) -> None:
        """Ends the pull that is in progress."""


@dataclass(slots=True, eq=False)
class _Place:
    """What is known of one session."""

    puller: Puller
    began_at: float | None = None
    """None: no pull is in progress."""
    progress_at: float = 0.0
    """When the pull applied a document; before the first: when it began."""
    brings_at: float | None = None
    """Since this moment it defers the others; None: it has applied nothing, and had no turn."""
    waits_since: float | None = None
    called_at: float | None = None
    fruitless: int = 0
    """Pulls in succession that brought nothing."""


class PullTurns:
    """The order of the pulls of a node. One that applies documents is alone; one that does not keeps nobody waiting."""

    def __init__(self, set_timer: Callable[[float | None], None]) -> None:
        """`set_timer` is called with the time at which `review` is due."""
        self._set_timer = set_timer
        self._places: dict[Puller, _Place] = {}
        self.ended: Counter[str] = Counter()
        """Pulls that were ended before they were done, by the reasons of ENDS."""

    def join(self, puller: Puller) -> None:
        self._places[puller] = _Place(puller)

    def leave(self, puller: Puller, now: float) -> None:
        if self._places.pop(puller, None) is not None:
            self._call_next(now)

    def fruitless(self, puller: Puller) -> int:
        return self._places[puller].fruitless

    def waits(self, puller: Puller) -> bool:
        """Whether its pull waits for that of another one."""
        return self._places[puller].waits_since is not None

    def may_begin(self, puller: Puller, now: float) -> bool:
        """Whether its pull may begin now. If not, it waits, and is called when its turn comes."""
        place = self._places[puller]
        if place.waits_since is None:
            place.waits_since = now
        place.called_at = None
        if self._first(now) is place and not self._is_deferred(place, now):
            place.waits_since = None
            return True
        self._call_next(now, but=place)
        return False

    def stand_back(self, puller: Puller, now: float) -> None:
        """It does not want to pull for now."""
        place = self._places[puller]
        if place.waits_since is not None:
            place.waits_since = place.called_at = None
            self._call_next(now)

    def became_equal(self, puller: Puller, now: float) -> None:
        self._places[puller].fruitless = 0
        self.stand_back(puller, now)

    def began(self, puller: Puller, now: float, *, has_turn: bool) -> None:
        """A pull has begun. `has_turn`: it was allowed to. Others are repairs: they defer nobody until they bring
        something."""
        place = self._places[puller]
        place.began_at = place.progress_at = now
        place.brings_at = now if has_turn else None
        place.waits_since = place.called_at = None
        self._plan(now)

    def applied(self, puller: Puller, now: float) -> None:
        """A pull has applied a document. No deadline comes earlier by this."""
        place = self._places[puller]
        place.progress_at = place.brings_at = now

    def pull_ended(self, puller: Puller, now: float, *, brought: bool) -> None:
        place = self._places[puller]
        place.began_at = place.brings_at = None
        place.fruitless = 0 if brought else place.fruitless + 1
        self._call_next(now)

    def review(self, now: float) -> None:
        """Ends the pulls that bring nothing or have had their turn, and calls the next one."""
        for place in list(self._places.values()):
            if place.began_at is None:
                continue
            if now >= place.progress_at + STALLED_SECONDS:
                self._end(place, STALLED)
            elif now >= place.began_at + TURN_SECONDS and self._others_wait(place):
                self._end(place, TURN_OVER)
        self._call_next(now)

    def _end(self, place: _Place, reason: str) -> None:
        self.ended[reason] += 1
        place.puller.end_pull()

    def _is_deferred(self, place: _Place, now: float) -> bool:
        return any(
            other.brings_at is not None and now < other.brings_at + PULLING_SECONDS
            for other in self._places.values()
            if other is not place
        )

    def _others_wait(self, place: _Place) -> bool:
        return any(p.waits_since is not None for p in self._places.values() if p is not place)

    def _first(self, now: float) -> _Place | None:
        """Of those that wait, the one that goes first."""
        waiting = [place for place in self._places.values() if place.waits_since is not None]
        return min(waiting, key=lambda place: _rank(place, now), default=None)

    def _call_next(self, now: float, but: _Place | None = None) -> None:
        """`but`: it has just come, and has to wait."""
        for place in self._places.values():
            if place.called_at is not None and now >= place.called_at + CALLED_SECONDS:
                place.called_at = None
                place.waits_since = now
                place.fruitless += 1
        first = self._first(now)
        is_called = first is None or first is but or first.called_at is not None
        if first is not None and not is_called and not self._is_deferred(first, now):
            first.called_at = now
            first.puller.compare_again()
        self._plan(now)

    def _plan(self, now: float) -> None:
        """Sets the timer to the first moment at which something may be due."""
        due: list[float] = []
        for place in self._places.values():
            if place.called_at is not None:
                due.append(place.called_at + CALLED_SECONDS)
            if place.began_at is None:
                continue
            due.append(max(now, place.progress_at + STALLED_SECONDS))
            if self._others_wait(place):
                due.append(max(now, place.began_at + TURN_SECONDS))
                if place.brings_at is not None and place.brings_at + PULLING_SECONDS > now:
                    due.append(place.brings_at + PULLING_SECONDS)
        self._set_timer(min(due, default=None))


def _rank(place: _Place, now: float) -> tuple[bool, int, float]:
    since = now if place.waits_since is None else place.waits_since
    is_overdue = now - since >= OVERDUE_SECONDS
    return not is_overdue, 0 if is_overdue else place.fruitless, since
