"""The awareness of every document that is open on some node of the mesh. No I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from workers.broker.yjs.awareness import AwarenessStates, ClientState

Name = tuple[str, str]
"""Collection and id of a document."""

MAX_DOCUMENTS = 10_000
"""Maximum number of documents. Beyond it, the least recently changed one is dropped; its clients renew their
states."""


class Presence:
    """Awareness by document, also of documents without a local client: the first one receives all states."""

    def __init__(self) -> None:
        self._documents: OrderedDict[Name, AwarenessStates] = OrderedDict()

    def apply(self, name: Name, states: Iterable[ClientState], now: float) -> list[ClientState]:
        """Applies states. Returns those that are new."""
        document = self._documents.get(name)
        if document is None:
            document = self._documents[name] = AwarenessStates()
            if len(self._documents) > MAX_DOCUMENTS:
                self._documents.popitem(last=False)
        news = document.apply(states, now)
        if document.is_empty:
            del self._documents[name]
        elif news:
            self._documents.move_to_end(name)
        return news

    def remove(self, name: Name, clients: Iterable[int], now: float) -> list[ClientState]:
        document = self._documents.get(name)
        return [] if document is None else document.remove(clients, now)

    def removals_of(self, name: Name, states: Iterable[ClientState]) -> list[ClientState]:
        """The removals that overrule some of these states, for the client that sent them."""
        document = self._documents.get(name)
        return [] if document is None else document.removals_of(states)

    def present(self, name: Name) -> list[ClientState]:
        document = self._documents.get(name)
        return [] if document is None else document.present()

    def remove_expired(
        self, now: float, on_removed: Callable[[Name, list[ClientState]], None]
    ) -> None:
        """Removes expired states, and calls `on_removed` with the removals of each document."""
        for name, document in list(self._documents.items()):
            removed = document.remove_expired(now)
            if removed:
                on_removed(name, removed)
            if document.is_empty:
                del self._documents[name]

    @property
    def is_empty(self) -> bool:
        return not self._documents
