"""A room: the clients of this process that have one document open."""

from __future__ import annotations

import itertools
import secrets

from peatnode.ipc.messages import Change
from peatnode.model.states import ChangeAction
from workers.broker.yjs.outbox import Outbox, SessionClose
from workers.broker.yjs.states import Speaker
from workers.broker.yjs.wire import encode_update

_member_numbers = itertools.count(1)


class RoomMember:
    """One client in one room."""

    def __init__(self, process: str = "") -> None:
        self.origin = f"client:{process}{next(_member_numbers)}"
        """The origin of its changes, unique on the node: changes are not sent back to their origin."""
        self.outbox = Outbox()
        self.speaker = Speaker(is_local=True)
        self.untold: dict[int, None] = {}
        """Yjs clients of this connection whose newest state the others have not been told yet."""


def new_process_id() -> str:
    """A prefix that separates the origins of this process from those of others and of earlier ones."""
    return secrets.token_hex(4) + "-"


class Room:
    """The members of one incarnation of one document."""

    def __init__(self, collection: str, doc_id: str, incarnation: int) -> None:
        self.collection = collection
        self.doc_id = doc_id
        self.incarnation = incarnation
        self.members: set[RoomMember] = set()
        self.has_skipped_changes = False
        """The next change contains the skipped ones, so its author receives it too."""

    @property
    def name(self) -> tuple[str, str]:
        return self.collection, self.doc_id

    def broadcast(self, message: bytes, excluded: str = "") -> None:
        """Queues a message for all members, except the one whose origin is `excluded`."""
        for member in self.members:
            if member.origin != excluded:
                member.outbox.put(message)

    def close(self, close: SessionClose) -> None:
        for member in self.members:
            member.outbox.close(close)

    def is_ended_by(self, change: Change) -> bool:
        """Whether the change ends this incarnation."""
        if change.action is ChangeAction.DELETED:
            return change.incarnation >= self.incarnation
        return change.incarnation > self.incarnation

    def change_seen(self, change: Change) -> None:
        """Sends a change of the document, which is on disk, to the members."""
        if change.incarnation == self.incarnation and change.update:
            self.broadcast(
                encode_update(change.update),
                excluded="" if self.has_skipped_changes else change.origin,
            )
            self.has_skipped_changes = False
