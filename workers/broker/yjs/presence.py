"""Who is where, in the whole mesh: the awareness of every document that somebody has open on some node.

No I/O.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from workers.broker.yjs.awareness import AwarenessStates, ClientState

Name = tuple[str, str]
"""Collection and id."""

MAX_DOCUMENTS = 10_000
"""Kept at once; of more the longest untouched are forgotten, and known again when their clients renew their states."""


class Presence:
    """Awareness by document. Kept also without a local client, so that the first one sees who is on other nodes."""

    def __init__(self) -> None:
        self._documents: OrderedDict[Name, AwarenessStates] = OrderedDict()

    def apply(self, name: Name, states: Iterable[ClientState], now: float) -> list[ClientState]:
        """What of it is news."""
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

    def farewells(self, name: Name, states: Iterable[ClientState]) -> list[ClientState]:
        """States to send back to the client that sent these."""
        document = self._documents.get(name)
        return [] if document is None else document.farewells(states)

    def present(self, name: Name) -> list[ClientState]:
        document = self._documents.get(name)
        return [] if document is None else document.present()

    def forget_silent(self, now: float, tell: Callable[[Name, list[ClientState]], None]) -> None:
        """Calls `tell` with the clients that are gone without a goodbye."""
        for name, document in list(self._documents.items()):
            gone = document.forget_silent(now)
            if gone:
                tell(name, gone)
            if document.is_empty:
                del self._documents[name]

    @property
    def is_empty(self) -> bool:
        return not self._documents
