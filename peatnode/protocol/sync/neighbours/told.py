"""What each peer is told of the neighbours of this node: all of them once, then what has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from peatnode.model.peer_limits import MAX_NEIGHBOURS
from peatnode.protocol.sync.session import PeerSession
from peatnode.protocol.wire.messages import Neighbours

FIRST_SECONDS = 0.1
"""Delay of the first change after a pause, so that one message covers several."""

NEXT_SECONDS = 5.0
"""Least time between two messages to one peer. A node that comes or goes is a change on all nodes at once, so that a
mesh of n nodes sends n² messages. Until a peer is told, a change that it has from this node may reach a node that has
lost its connection to this one by the next comparison of roots only, which is as often."""

Snapshot = Mapping[bytes, str]
"""Node ids by instance. It is never changed, and peers that were told at the same time share it."""

_NOTHING: Snapshot = {}


@dataclass(frozen=True, slots=True)
class _Told:
    neighbours: Snapshot
    at: float


class NeighbourTeller:
    """Plans for each peer when it is told, and makes the messages."""

    def __init__(
        self,
        sessions: Collection[PeerSession],
        send: Callable[[PeerSession, Neighbours], None],
        set_timer: Callable[[PeerSession, float], None],
    ) -> None:
        """`sessions` are the present ones at any time. `set_timer`: `due` is to be called in so many seconds."""
        self._sessions = sessions
        self._send = send
        self._set_timer = set_timer
        self._told: dict[int, _Told] = {}
        """By the number of the connection."""
        self._waiting: set[int] = set()
        """Connections whose timer is set."""
        self._current: Snapshot | None = None
        self._made: dict[int, tuple[Snapshot, Neighbours]] = {}
        """The differences to the current neighbours, by the identity of the older snapshot, which is kept with it."""

    def changed(self, now: float) -> None:
        """A connection has come or gone."""
        self._current = None
        self._made.clear()
        for session in self._sessions:
            if session.peer not in self._waiting:
                told = self._told.get(session.peer)
                wait = 0.0 if told is None else told.at + NEXT_SECONDS - now
                self._waiting.add(session.peer)
                self._set_timer(session, max(FIRST_SECONDS, wait))

    def left(self, peer: int) -> None:
        """A connection has ended."""
        self._told.pop(peer, None)
        self._waiting.discard(peer)

    def due(self, session: PeerSession, now: float) -> None:
        """Tells a peer what it does not know yet."""
        self._waiting.discard(session.peer)
        told = self._told.get(session.peer)
        current = self._neighbours()
        if told is None:
            message = self._message(_NOTHING, current, is_whole=True)
        else:
            message = self._message(told.neighbours, current, is_whole=False)
        if message.is_whole or message.added or message.removed:
            self._told[session.peer] = _Told(current, now)
            self._send(session, message)

    def _neighbours(self) -> Snapshot:
        if self._current is None:
            # A peer keeps no more than these. Who is told of stays, since the sessions are in the order of their start.
            first = islice(self._sessions, MAX_NEIGHBOURS)
            self._current = {s.member.instance: s.member.node_id for s in first}
        return self._current

    def _message(self, old: Snapshot, new: Snapshot, *, is_whole: bool) -> Neighbours:
        made = self._made.get(id(old))
        if made is None:
            added = [(node_id, each) for each, node_id in new.items() if old.get(each) != node_id]
            removed = [instance for instance in old if instance not in new]
            made = self._made[id(old)] = old, Neighbours(is_whole, tuple(added), tuple(removed))
        return made[1]
