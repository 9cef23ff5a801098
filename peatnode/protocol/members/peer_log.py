"""The last events between this node and its peers, for an operator."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from peatnode.model.members import MAX_PEER_EVENTS, PeerEvent, PeerEventKind

MAX_DETAIL = 200
"""Characters of a detail that are kept."""

MAX_SAID = 1024
"""Failures of dials that are remembered, so that each is said once."""


class PeerLog:
    """The last MAX_PEER_EVENTS events. A dial that fails as before adds nothing."""

    def __init__(self) -> None:
        self._events: deque[PeerEvent] = deque(maxlen=MAX_PEER_EVENTS)
        self._said: dict[str, set[str]] = {}
        """The failures that were said since the last connection, by peer."""

    @property
    def events(self) -> tuple[PeerEvent, ...]:
        """The oldest first."""
        return tuple(self._events)

    def add(self, at: float, peer: str, kind: PeerEventKind, detail: str = "") -> None:
        self._events.append(PeerEvent(at, peer, kind, detail[:MAX_DETAIL]))
        if kind is PeerEventKind.CONNECTED:
            self._said.pop(peer, None)

    def add_failure(self, at: float, peer: str, kind: PeerEventKind, detail: str) -> bool:
        """Whether the failure is new since the last connection, and was added."""
        said = self._said.setdefault(peer, set())
        if detail in said or sum(map(len, self._said.values())) >= MAX_SAID:
            return False
        said.add(detail)
        self.add(at, peer, kind, detail)
        return True

    def precede(self, earlier: Iterable[PeerEvent]) -> None:
        """Puts events of an earlier process before those of this one."""
        self._events = deque((*earlier, *self._events), maxlen=MAX_PEER_EVENTS)

    def shift(self, move: Callable[[float], float]) -> None:
        """The wall clock was set: `move` corrects a time."""
        moved = [PeerEvent(move(e.at), e.peer, e.kind, e.detail) for e in self._events]
        self._events = deque(moved, maxlen=MAX_PEER_EVENTS)
