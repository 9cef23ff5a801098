"""The states of the clients of one document, and who speaks for each of them. No I/O.

The connection that introduces a client id owns it until it ends: a state of another one is dropped. Clients of
y-websocket send back all states that they receive; these are known. Among peers, the highest clock wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from peatnode.model.peer_limits import (
    CLIENT_AWARENESS_RATE,
    MAX_AWARENESS_CLOCK,
    MAX_AWARENESS_STATE_BYTES,
    MAX_CLIENT_IDS,
    RECEIVED_AWARENESS_RATE,
    STATE_OVERHEAD_BYTES,
    TAKEOVER_SECONDS,
)
from peatnode.protocol.allowance import Allowance
from workers.broker.yjs.awareness import LEFT, ClientState

EXPIRY_SECONDS = 30.0
"""A state that its client has not renewed for this long is removed (as in y-protocols)."""

MAX_CLAIMED = 65_536
"""Clocks by which another speaker may be ahead of the known one. A client that moves with each frame of a screen needs
18 minutes for as many."""

TOO_LARGE = "too_large"
NOT_OWN = "not_own"
TOO_MANY_IDS = "too_many_ids"


class Speaker:
    """Who brings states: a connection of this process, or a peer."""

    __slots__ = ("allowance", "bytes", "held", "is_local")

    def __init__(self, is_local: bool) -> None:
        self.is_local = is_local
        self.allowance = Allowance(CLIENT_AWARENESS_RATE if is_local else RECEIVED_AWARENESS_RATE)
        self.bytes = 0
        self.held: dict[AwarenessStates, dict[int, None]] = {}
        """The clients whose states it brought, by document; the least recently renewed first."""


@dataclass(slots=True)
class _Known:
    state: ClientState
    seen: float
    speaker: Speaker
    claimed: int = 0
    """The highest clock under which another speaker has sent a state of this client."""


class AwarenessStates:
    """The states of the clients of one document."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self.held: dict[Speaker, int] = {}
        """Bytes by speaker."""
        self.bytes = 0

    def is_news(self, state: ClientState) -> bool:
        """Whether a state says more than the known one."""
        known = self._known.get(state.client)
        if known is None:
            return state.state != LEFT
        if state.clock != known.state.clock:
            return state.clock > known.state.clock
        return state.state == LEFT and known.state.state != LEFT

    def reason_to_drop(self, state: ClientState, speaker: Speaker, now: float) -> str:
        """Why a speaker may not say it; empty: it may."""
        if len(state.state) > MAX_AWARENESS_STATE_BYTES or state.clock >= MAX_AWARENESS_CLOCK:
            return TOO_LARGE
        known = self._known.get(state.client)
        if known is not None and known.speaker is speaker:
            return ""
        if known is not None and not self._may_replace(known, state, speaker, now):
            if known.claimed < state.clock <= known.state.clock + MAX_CLAIMED:
                known.claimed = state.clock
            return NOT_OWN
        if speaker.is_local and len(speaker.held.get(self, ())) >= MAX_CLIENT_IDS:
            return TOO_MANY_IDS
        return ""

    @staticmethod
    def _may_replace(known: _Known, state: ClientState, speaker: Speaker, now: float) -> bool:
        if known.state.state == LEFT or not (speaker.is_local or known.speaker.is_local):
            return True
        return state.state != LEFT and now - known.seen > TAKEOVER_SECONDS

    def growth(self, state: ClientState) -> int:
        """Bytes that `put` would add."""
        known = self._known.get(state.client)
        return _cost(state) - (_cost(known.state) if known else 0)

    def put(self, state: ClientState, speaker: Speaker, now: float) -> ClientState:
        """Returns the state as it is told to others.

        A removal has the clock of states that were dropped because their speaker was not the owner. The client ignores
        an earlier one; when it receives this one, it sends its state again.
        """
        known = self._known.get(state.client)
        if known is not None and state.state == LEFT and known.claimed > state.clock:
            state = ClientState(state.client, known.claimed, LEFT)
        self.discard(state.client)
        self._known[state.client] = _Known(state, now, speaker)
        speaker.held.setdefault(self, {})[state.client] = None
        self._count(speaker, _cost(state))
        return state

    def discard(self, client: int) -> None:
        known = self._known.pop(client, None)
        if known is None:
            return
        speaker = known.speaker
        del speaker.held[self][client]
        self._count(speaker, -_cost(known.state))
        if not speaker.held[self]:
            del speaker.held[self], self.held[speaker]

    def discard_all(self) -> None:
        for client in list(self._known):
            self.discard(client)

    def _count(self, speaker: Speaker, cost: int) -> None:
        self.bytes += cost
        speaker.bytes += cost
        self.held[speaker] = self.held.get(speaker, 0) + cost

    def remove(self, clients: Iterable[int], now: float) -> list[ClientState]:
        """Removes clients that are present. Returns the states to send to the others."""
        found = [(client, self._known.get(client)) for client in clients]
        leaving = []
        for client, known in found:
            if known is not None and known.state.state != LEFT:
                gone = ClientState(client, known.state.clock, LEFT)
                leaving.append(self.put(gone, known.speaker, now))
        return leaving

    def removals_of(self, states: Iterable[ClientState]) -> list[ClientState]:
        """The removals that overrule some of these states. Their client must receive them.

        A client that reconnects repeats its state with its old clock, which is also that of its removal.
        When it receives the removal, it sends its state again with a higher clock.
        """
        found = [(state, self._known.get(state.client)) for state in states if state.state != LEFT]
        return [
            known.state
            for state, known in found
            if known and known.state.state == LEFT and known.state.clock >= state.clock
        ]

    def remove_expired(self, now: float) -> list[ClientState]:
        """Removes the states that have not been renewed for `EXPIRY_SECONDS`. Returns the states to send.

        A removal is kept for the same time again, so that a delayed copy of a state restores no client.
        """
        silent = [c for c, known in self._known.items() if now - known.seen >= EXPIRY_SECONDS]
        for client in silent:
            if self._known[client].state.state == LEFT:
                self.discard(client)
        return self.remove(silent, now)

    def present(self) -> list[ClientState]:
        """The states of the clients that have not left."""
        return [known.state for known in self._known.values() if known.state.state != LEFT]

    def states_of(self, clients: Iterable[int]) -> list[ClientState]:
        """The newest states of these clients, as far as they are known."""
        return [self._known[client].state for client in clients if client in self._known]

    @property
    def is_empty(self) -> bool:
        return not self._known


def _cost(state: ClientState) -> int:
    return len(state.state) + STATE_OVERHEAD_BYTES
