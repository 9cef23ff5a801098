"""The writers that wait until enough peers have their change on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection

from peatnode.protocol.sync.events import ReplicasKnown, ReplicasWanted
from peatnode.protocol.sync.pushes.push_log import PushLog
from peatnode.protocol.sync.session import PeerSession


class ReplicaWaits:
    """The writers by the number of their waiter. Each is answered once: when enough peers have it, when its time is
    over, or when the sequence belongs to another feed than the one that is followed."""

    def __init__(
        self,
        log: PushLog,
        sessions: Collection[PeerSession],
        answer: Callable[[ReplicasKnown], None],
        set_timer: Callable[[int, float | None], None],
    ) -> None:
        """`sessions` are the present ones at any time. `expired` is to be called when the timer of a waiter is due,
        which is set to a number of seconds; None: it is cancelled."""
        self._log = log
        self._sessions = sessions
        self._answer = answer
        self._set_timer = set_timer
        self._waiters: dict[int, ReplicasWanted] = {}

    def add(self, wanted: ReplicasWanted) -> None:
        self._waiters[wanted.waiter] = wanted
        if self._log.is_over(wanted.generation):
            self._end(wanted, is_other_feed=True)
            return
        self._set_timer(wanted.waiter, wanted.seconds)
        self.review()

    def review(self) -> None:
        """Answers those who now have enough peers."""
        for wanted in list(self._waiters.values()):
            if len(self._holders(wanted)) >= wanted.count:
                self._end(wanted)

    def expired(self, waiter: int) -> None:
        self._end(self._waiters[waiter])

    def feed_opened(self, generation: int) -> None:
        """Answers those who wait for sequences of another feed, from what was acknowledged up to now."""
        for wanted in list(self._waiters.values()):
            if wanted.generation not in (0, generation):
                self._end(wanted, is_other_feed=True)

    def feed_restarted(self) -> None:
        """As `feed_opened`, for those who do not know the generation of their sequence."""
        for wanted in list(self._waiters.values()):
            if not wanted.generation:
                self._end(wanted, is_other_feed=True)

    def _holders(self, wanted: ReplicasWanted) -> list[str]:
        """Peers that have the change. What was acknowledged in another feed says nothing about it."""
        if not self._log.is_of(wanted.generation):
            return []
        return [s.member.node_id for s in self._sessions if s.push.has(wanted.sequence)]

    def _end(self, wanted: ReplicasWanted, is_other_feed: bool = False) -> None:
        del self._waiters[wanted.waiter]
        self._set_timer(wanted.waiter, None)
        is_other_feed = is_other_feed or not self._log.is_of(wanted.generation)
        self._answer(ReplicasKnown(wanted.waiter, tuple(self._holders(wanted)), is_other_feed))
