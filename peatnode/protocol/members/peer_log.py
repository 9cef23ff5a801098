"""The last events between this node and its peers, for an operator."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from peatnode.model.members import MAX_PEER_EVENTS, PeerEvent, PeerEventKind
from peatnode.texts import cleaned, one_line

MAX_PEERS_SAID = 1024
"""Peers whose failures of dials are remembered, so that each is said once. The one that has failed longest ago makes
room, and is said again when it fails again."""

MAX_REASONS = 8
"""Failures of one peer that are said in REASON_SECONDS while it does not connect: whoever answers at an address can
answer in ever new words."""

REASON_SECONDS = 3600.0


class PeerLog:
    """The last MAX_PEER_EVENTS events. A dial that fails as before adds nothing."""

    def __init__(self) -> None:
        self._events: deque[PeerEvent] = deque(maxlen=MAX_PEER_EVENTS)
        self._said: OrderedDict[str, dict[str, float]] = OrderedDict()
        """When which failure was said since the last connection, by peer; the peer that failed last is the last."""

    @property
    def events(self) -> tuple[PeerEvent, ...]:
        """The oldest first."""
        return tuple(self._events)

    def add(self, at: float, peer: str, kind: PeerEventKind, detail: str = "") -> None:
        self._events.append(PeerEvent(at, peer, kind, cleaned(detail)))
        if kind is PeerEventKind.CONNECTED:
            self._said.pop(peer, None)

    def add_failure(self, at: float, peer: str, kind: PeerEventKind, detail: str) -> bool:
        """Whether the failure is new since the last connection, and was added."""
        detail = cleaned(detail)
        said = self._said.setdefault(peer, {})
        self._said.move_to_end(peer)
        if len(self._said) > MAX_PEERS_SAID:
            self._said.popitem(last=False)
        if detail in said:
            return False
        if len(said) >= MAX_REASONS:
            oldest = next(iter(said))
            if abs(at - said[oldest]) < REASON_SECONDS:
                return False
            del said[oldest]
        said[detail] = at
        self.add(at, peer, kind, detail)
        return True

    def precede(self, earlier: Iterable[PeerEvent]) -> None:
        """Puts events of an earlier process before those of this one."""
        safe = [PeerEvent(e.at, one_line(e.peer), e.kind, cleaned(e.detail)) for e in earlier]
        self._events = deque((*safe, *self._events), maxlen=MAX_PEER_EVENTS)

    def shift(self, move: Callable[[float], float]) -> None:
        """The wall clock was set: `move` corrects a time."""
        moved = [PeerEvent(move(e.at), e.peer, e.kind, e.detail) for e in self._events]
        self._events = deque(moved, maxlen=MAX_PEER_EVENTS)
