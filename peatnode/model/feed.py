"""The events of a store's feed."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.model.message import Message
from peatnode.model.states import ChangeAction

CONFLICT = "conflict"
"""The origin of a change by which a document was joined with one that contradicts it. Copies of it may be wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the feed."""

    sequence: int
    collection: str
    id: str
    action: ChangeAction
    incarnation: int
    fingerprint: bytes
    """Fingerprint of the document after the change."""
    origin: str
    """Instance of the peer that sent it; `client`: a Yjs client; CONFLICT: the document was joined with one
    that contradicts it; empty: a write to this node by HTTP or the CLI."""
    update: bytes
    """Yjs update of this change alone. After a deletion: the state vector of the ended incarnations. Of a
    CONFLICT: the document before, for peers to compare with theirs. Empty if not requested."""
    value: bytes
    """JSON after the change; empty if not requested, or after a deletion."""


@dataclass(frozen=True, slots=True)
class ChangesSeen(Message):
    """Changes in the order of their sequences, all synced to disk."""

    TAG = "changes_seen"
    changes: tuple[Change, ...]
    upto: int
    """The batch covers all changes up to this sequence. It may be empty because filters excluded them."""


@dataclass(frozen=True, slots=True)
class FeedGap(Message):
    """The changes after `since` and up to `upto` are no longer kept; the stream continues after `upto`."""

    TAG = "feed_gap"
    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class FeedRestarted:
    """The store was replaced, restored, repaired or emptied, so that earlier sequences mean nothing in it.

    `since` is the follower's position in the old feed. The follower continues after `upto` in the new one.
    """

    since: int
    upto: int


FeedEvent = ChangesSeen | FeedGap | FeedRestarted
"""The events that a follower of the feed receives."""
