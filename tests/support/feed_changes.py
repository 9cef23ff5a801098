"""Changes of a feed, made of the updates that they are."""

from __future__ import annotations

from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import Change
from peatnode.model.states import ChangeAction


def change_of(sequence: int, origin: str, update: DocumentUpdate) -> Change:
    return Change(
        sequence,
        update.collection,
        update.id,
        ChangeAction.DELETED if update.is_deleted else ChangeAction.UPDATED,
        update.incarnation,
        b"",
        origin,
        update.update,
        b"",
    )
