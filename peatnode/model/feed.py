"""The feed of a store's changes."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.model.message import Message
from peatnode.model.states import ChangeAction


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the feed."""

    sequence: int
    collection: str
    id: str
    action: ChangeAction
    incarnation: int
    fingerprint: bytes
    """After the change."""
    origin: str
    """Instance of the peer it came from; `client` for a Yjs client's; empty: written here over HTTP or the CLI."""
    update: bytes
    """Yjs update of just this change; empty when not asked for, or deleted."""
    value: bytes
    """JSON after the change; empty when not asked for, or deleted."""


@dataclass(frozen=True, slots=True)
class ChangesSeen(Message):
    """Changes in order, all synced to disk."""

    TAG = "changes_seen"
    changes: tuple[Change, ...]
    upto: int
    """The batch covers everything up to this sequence; filters may have left it empty."""


@dataclass(frozen=True, slots=True)
class FeedGap(Message):
    """The changes after `since` up to `upto` are not kept any more; the stream goes on after `upto`."""

    TAG = "feed_gap"
    since: int
    upto: int


@dataclass(frozen=True, slots=True)
class FeedRestarted:
    """The store is another one, or was restored, repaired or emptied: its sequences are not those of before.

    `since` is the follower's position in the old feed. The follower goes on after `upto` in the new one.
    """

    since: int
    upto: int


FeedEvent = ChangesSeen | FeedGap | FeedRestarted
"""What a follower of the feed receives."""
