"""A room: the clients of this process that have one document open."""

from __future__ import annotations

import itertools
import secrets

from peatnode.ipc.messages import Change
from peatnode.model.states import ChangeAction
from workers.broker.yjs.outbox import Outbox, SessionClose
from workers.broker.yjs.wire import encode_update

_member_numbers = itertools.count(1)


class RoomMember:
    """One client in one room."""

    def __init__(self, process: str = "") -> None:
        self.origin = f"client:{process}{next(_member_numbers)}"
        """Marks the changes it made, so that they are not sent back to it; no two on one node are alike."""
        self.outbox = Outbox()
        self.clients: set[int] = set()
        """Yjs client ids that it speaks for."""


def process_mark() -> str:
    """Tells the members of this process from those of another, or of an earlier one."""
    return secrets.token_hex(4) + "-"


class Room:
    """The members of one incarnation of one document."""

    def __init__(self, collection: str, doc_id: str, incarnation: int) -> None:
        self.collection = collection
        self.doc_id = doc_id
        self.incarnation = incarnation
        self.members: set[RoomMember] = set()
        self.has_missed = False
        """Changes were skipped. The next change contains them, so its author receives it too."""

    @property
    def name(self) -> tuple[str, str]:
        return self.collection, self.doc_id

    def broadcast(self, message: bytes, but: str = "") -> None:
        for member in self.members:
            if member.origin != but:
                member.outbox.put(message)

    def close(self, close: SessionClose) -> None:
        for member in self.members:
            member.outbox.close(close)

    def ends_with(self, change: Change) -> bool:
        """Whether the change is the end of this incarnation."""
        if change.action is ChangeAction.DELETED:
            return change.incarnation >= self.incarnation
        return change.incarnation > self.incarnation

    def change_seen(self, change: Change) -> None:
        """A change of the document is on disk."""
        if change.incarnation == self.incarnation and change.update:
            self.broadcast(
                encode_update(change.update), but="" if self.has_missed else change.origin
            )
            self.has_missed = False

    def speaks_for(self, speaker: RoomMember, news: list[int], gone: list[int]) -> None:
        """Clients belong to the connection that last had news of them."""
        for member in self.members:
            member.clients.difference_update(news)
        speaker.clients.update(news)
        speaker.clients.difference_update(gone)
