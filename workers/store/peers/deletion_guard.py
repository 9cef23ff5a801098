"""How many live documents a peer may end in a minute. Beyond it, its deletions are paused until an operator decides.

An expiry that lets a document end sooner than before counts as a deletion, whenever it passes: it ends the document
everywhere without a further message. What would end by itself as soon, or has been written by that peer, counts not.

No I/O. The rules and their bounded memory enter; what is kept on disk and told to operators is in `deletions.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from peatnode.model.members import MAX_REMEMBERED_PEERS, PausedDeletions

WINDOW_SECONDS = 60.0

LATELY_SECONDS = 600.0
"""A peer may end what came by it within this time: an application takes back what it has just written."""

ALLOWED_SECONDS = 600.0
"""For so long a peer may delete any number when an operator has allowed it: what was refused comes then."""

MAX_LATELY = 32_768
"""Documents that are remembered as begun by a peer. What exceeds it counts as if it had not come by that peer."""

MAX_REFUSED = 65_536
"""Documents that are remembered as refused deletions."""

EXPIRY_SECONDS = 60.0
"""What ends so much sooner than by its expiry may end in time by the clock of the peer: twice what clocks that agree
may differ."""


Life = tuple[bytes, int]
"""The key of a document and its incarnation: what lives under a name later is another one."""


class DeletionGuard:
    """Counts the live documents that each peer ends, and says which of them it may not end.

    Times `now` are those of a steady clock, times `unix` those of the wall clock.
    """

    def __init__(self, limit: int, paused: Iterable[PausedDeletions] = ()) -> None:
        """`limit`: documents that one peer may end in a minute; 0: any number. `paused`: by an earlier process."""
        self._limit = limit
        self._paused = {one.node_id: one for one in paused}
        self._ended: dict[str, deque[tuple[float, int]]] = {}
        """(second, documents) that each peer has ended."""
        self._lately: tuple[set[int], set[int]] = set(), set()
        """Hashes of (peer, document) that a change of the peer has begun: before the last turn, and since it."""
        self._turned_at = 0.0
        self._allowed_until: dict[str, float] = {}
        self._refused: dict[int, str] = {}
        """The peer of each refused deletion, by the hash of the document."""
        self.total = 0
        """Refused deletions, since the start."""

    @property
    def paused(self) -> tuple[PausedDeletions, ...]:
        return tuple(self._paused.values())

    @property
    def sizes(self) -> tuple[int, int, int]:
        """How many peers, refused deletions and begun documents are in memory."""
        return len(self._ended), len(self._refused), sum(map(len, self._lately))

    def pause_of(self, peer: str) -> PausedDeletions | None:
        return self._paused.get(peer)

    def began(self, peer: str, life: Life, now: float) -> None:
        """A change of a peer has begun an incarnation of a document."""
        if self._limit:
            self._turn(now)
            self._lately[1].add(hash((peer, life)))

    def refusal(
        self, peer: str, life: Life, expires_at: float, ends_at: float, now: float, unix: float
    ) -> str:
        """Why a peer may not end a live document; empty: it may.

        `expires_at` is that of the document; 0: never. `ends_at`: the expiry that the peer gives it; 0: it ends now.
        """
        if (
            not self._limit
            or 0 < expires_at <= max(unix, ends_at) + EXPIRY_SECONDS
            or self._is_own(peer, life, now)
        ):
            return ""
        if peer not in self._paused:
            if now < self._allowed_until.get(peer, now):
                return ""
            other = self._refused.get(hash(life)) if self._paused else None
            if other is not None:
                return self._refuse(other, life)
            if self._count(peer, now) <= self._limit:
                return ""
            self._pause(peer, unix)
        return self._refuse(peer, life)

    def allow(self, peer: str, now: float) -> bool:
        """An operator allows the deletions of a peer. Whether they were paused."""
        if peer not in self._paused:
            return False
        self._ended.pop(peer, None)
        self._allowed_until = {p: at for p, at in self._allowed_until.items() if at > now}
        self._allowed_until[peer] = now + ALLOWED_SECONDS
        self._refused = {key: other for key, other in self._refused.items() if other != peer}
        del self._paused[peer]
        return True

    def _is_own(self, peer: str, life: Life, now: float) -> bool:
        self._turn(now)
        one = hash((peer, life))
        return one in self._lately[0] or one in self._lately[1]

    def _turn(self, now: float) -> None:
        """Forgets what was begun two turns ago."""
        if now - self._turned_at >= LATELY_SECONDS or len(self._lately[1]) >= MAX_LATELY:
            is_old = now - self._turned_at >= 2 * LATELY_SECONDS
            self._lately = set() if is_old else self._lately[1], set()
            self._turned_at = now

    def _count(self, peer: str, now: float) -> int:
        """Counts one more document that the peer ends, and returns how many that are in the last minute."""
        ended = self._ended.get(peer)
        if ended is None:
            if len(self._ended) >= MAX_REMEMBERED_PEERS:
                del self._ended[next(iter(self._ended))]
            ended = self._ended[peer] = deque()
        second = float(int(now))
        while ended and ended[0][0] <= second - WINDOW_SECONDS:
            ended.popleft()
        before = ended.pop()[1] if ended and ended[-1][0] == second else 0
        ended.append((second, before + 1))
        return sum(count for _, count in ended)

    def _pause(self, peer: str, unix: float) -> None:
        if len(self._paused) < MAX_REMEMBERED_PEERS:
            self._paused[peer] = PausedDeletions(peer, unix)

    def _refuse(self, peer: str, life: Life) -> str:
        self.total += 1
        if hash(life) not in self._refused:
            if len(self._refused) >= MAX_REFUSED:
                del self._refused[next(iter(self._refused))]
            self._refused[hash(life)] = peer
            if (pause := self._paused.get(peer)) is not None:
                self._paused[peer] = replace(pause, refused=pause.refused + 1)
        return (
            f"deletions of {peer} are paused, because it made more than {self._limit} in a minute"
        )
