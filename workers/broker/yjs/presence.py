"""The awareness of every document that is open on some node of the mesh, within a budget of bytes. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from peatnode.errors import MalformedUpdate
from peatnode.model.peer_limits import MAX_PRESENCE_BYTES, MAX_ROOM_PRESENCE_BYTES
from workers.broker.yjs.awareness import LEFT, ClientState, check_state
from workers.broker.yjs.states import AwarenessStates, Speaker

Name = tuple[str, str]
"""Collection and id of a document."""

MAX_DOCUMENTS = 10_000
"""Maximum number of documents. Beyond it, the least recently changed one without clients of this process makes room for
one that has some; others are dropped."""

ROOM_FULL = "room_full"
NODE_FULL = "node_full"
MALFORMED = "malformed"


class Presence:
    """Awareness by document, also of documents without a local client: the first one receives all states.

    What a client of this process says goes before what peers say. Among equals, the one that takes most bytes makes
    room: so a client with a few small states loses none, whatever others do.
    """

    def __init__(self, count_dropped: Callable[[str], None]) -> None:
        """`count_dropped` is called with the reason for which a state was dropped."""
        self._count_dropped = count_dropped
        self._documents: OrderedDict[Name, AwarenessStates] = OrderedDict()
        self._peers: dict[str, Speaker] = {}
        self._speakers: dict[bool, dict[Speaker, None]] = {True: {}, False: {}}
        """Who has brought states: connections of this process, and peers. Those that hold none go when room is made."""
        self.bytes = 0

    def peer(self, instance: str) -> Speaker:
        """The speaker of a peer."""
        if instance not in self._peers:
            self._peers = {key: known for key, known in self._peers.items() if known.held}
        return self._peers.setdefault(instance, Speaker(is_local=False))

    def apply(
        self, name: Name, states: Iterable[ClientState], speaker: Speaker, now: float
    ) -> list[ClientState]:
        """Applies states. Returns those that are new. Raises MalformedUpdate if a client sent what is not JSON."""
        known = self._documents.get(name)
        document = AwarenessStates() if known is None else known
        told = [
            self._apply_one(name, document, state, speaker, now)
            for state in states
            if document.is_news(state)
        ]
        news = [state for state in told if state is not None]
        if news and known is not None and not document.is_empty:
            self._documents.move_to_end(name)
        return news

    def _apply_one(
        self,
        name: Name,
        document: AwarenessStates,
        state: ClientState,
        speaker: Speaker,
        now: float,
    ) -> ClientState | None:
        """The state as it is told to others; None: it is dropped."""
        reason = (
            document.reason_to_drop(state, speaker, now)
            or _reason_of_form(state, speaker)
            or self._reason_of_room(name, document, state, speaker)
        )
        if reason:
            self._count_dropped(reason)
            return None
        self.bytes += document.growth(state)
        self._documents[name] = document
        self._speakers[speaker.is_local][speaker] = None
        return document.put(state, speaker, now)

    # --- the budget

    def _reason_of_room(
        self, name: Name, document: AwarenessStates, state: ClientState, speaker: Speaker
    ) -> str:
        growth = document.growth(state)
        while document.bytes + growth > MAX_ROOM_PRESENCE_BYTES:
            victim = _whose_makes_room(document.held, speaker, growth)
            if not self._make_room(victim, document, but=(document, state.client)):
                return ROOM_FULL
        while self.bytes + growth > MAX_PRESENCE_BYTES:
            victim = _whose_makes_room(self._held(speaker), speaker, growth)
            if not any(
                self._make_room(victim, scope, but=(document, state.client))
                for scope in victim.held  # it ends with the first that changes it
            ):
                return NODE_FULL
        if name not in self._documents and not self._make_room_for_document(speaker):
            return NODE_FULL
        return ""

    def _held(self, speaker: Speaker) -> dict[Speaker, int]:
        """Bytes of those who may have to make room for a speaker: a peer takes none from connections."""
        found = {}
        for is_local in (False, True) if speaker.is_local else (False,):
            holding = {one: one.bytes for one in self._speakers[is_local] if one.held}
            self._speakers[is_local] = dict.fromkeys(holding)
            found.update(holding)
        return found

    def _make_room(
        self, victim: Speaker, scope: AwarenessStates, but: tuple[AwarenessStates, int]
    ) -> bool:
        """Drops the oldest state of a speaker in a document. False: there is none but the one that is replaced."""
        for client in victim.held.get(scope, ()):
            if (scope, client) != but:
                before = scope.bytes
                scope.discard(client)
                self.bytes += scope.bytes - before
                return True
        return False

    def _make_room_for_document(self, speaker: Speaker) -> bool:
        if len(self._documents) < MAX_DOCUMENTS:
            return True
        if not speaker.is_local:
            return False
        for name, document in self._documents.items():
            if not any(other.is_local for other in document.held):
                self._drop(name)
                return True
        return False

    def _drop(self, name: Name) -> None:
        document = self._documents.pop(name)
        self.bytes -= document.bytes
        document.discard_all()

    # --- who leaves

    def remove(self, name: Name, speaker: Speaker, now: float) -> list[ClientState]:
        """Removes the clients of a connection that has ended. Returns the states to send to the others."""
        document = self._documents.get(name)
        if document is None:
            return []
        before = document.bytes
        leaving = document.remove(list(speaker.held.get(document, ())), now)
        self.bytes += document.bytes - before
        return leaving

    def removals_of(self, name: Name, states: Iterable[ClientState]) -> list[ClientState]:
        """The removals that overrule some of these states, for the client that sent them."""
        document = self._documents.get(name)
        return [] if document is None else document.removals_of(states)

    def present(self, name: Name) -> list[ClientState]:
        document = self._documents.get(name)
        return [] if document is None else document.present()

    def states_of(self, name: Name, clients: Iterable[int]) -> list[ClientState]:
        document = self._documents.get(name)
        return [] if document is None else document.states_of(clients)

    def remove_expired(
        self, now: float, on_removed: Callable[[Name, list[ClientState]], None]
    ) -> None:
        """Removes expired states, and calls `on_removed` with the removals of each document."""
        for name, document in list(self._documents.items()):
            before = document.bytes
            removed = document.remove_expired(now)
            self.bytes += document.bytes - before
            if removed:
                on_removed(name, removed)
            if document.is_empty:
                del self._documents[name]

    @property
    def is_empty(self) -> bool:
        return not self._documents


def _reason_of_form(state: ClientState, speaker: Speaker) -> str:
    """Raises MalformedUpdate for a client of this process, whose connection it ends."""
    if state.state == LEFT:
        return ""
    try:
        check_state(state.state)
    except MalformedUpdate:
        if speaker.is_local:
            raise
        return MALFORMED
    return ""


def _whose_makes_room(held: Mapping[Speaker, int], speaker: Speaker, growth: int) -> Speaker:
    """Whose oldest state makes room for a state of `speaker`: perhaps its own."""
    others = [other for other in held if other is not speaker]
    peers = [other for other in others if not other.is_local]
    if speaker.is_local and peers:
        return max(peers, key=held.__getitem__)
    rivals = others if speaker.is_local else peers
    largest = max(rivals, key=held.__getitem__, default=speaker)
    own = held.get(speaker, 0) + growth
    return largest if held.get(largest, 0) > own else speaker
