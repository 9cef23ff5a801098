"""The position from which a follower of the feed resumes, and the delay before it retries. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import ChangesSeen, FeedGap
from peatnode.model.feed import FeedRestarted

FIRST_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 1.0
"""Longest delay before a stream is reopened that has failed several times in a row."""


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """A sequence, and the generation of the store that assigned it."""

    sequence: int = -1
    """All changes up to this one have been received; negative: the follower begins with the next change."""
    generation: int | None = None
    """Generation of the store; None: unknown, for example when a client of the API names a sequence."""

    @property
    def is_known(self) -> bool:
        return self.sequence >= 0

    def has_reached(self, other: FeedPosition) -> bool:
        """Whether all changes up to `other` have been received, in the same feed."""
        is_same = None not in (self.generation, other.generation) and (
            self.generation == other.generation
        )
        return is_same and other.is_known and self.sequence >= other.sequence


class FollowerState:
    """The position of one follower, which survives broken streams.

    A store keeps its generation exactly as long as it continues from its own files. Therefore a position is
    invalid if the generation differs, or if the store has fewer changes than were received: the feed has
    restarted, and the follower continues from the newest change.
    """

    def __init__(self, position: FeedPosition) -> None:
        self.position = position
        self._losses = 0
        """Number of losses since the last event."""

    def open(self, sequence: int, generation: int) -> ChangesSeen | FeedRestarted | None:
        """Receives the newest sequence and the generation of the store, before its stream is opened.

        Returns the first event for the follower: its starting position, or that the feed has restarted.
        None: it resumes from its position.
        """
        old, newest = self.position, FeedPosition(sequence, generation)
        if not old.is_known:
            self.position = newest
            return ChangesSeen((), sequence)
        is_other_store = old.generation is not None and old.generation != generation
        if is_other_store or sequence < old.sequence:
            self.position = newest
            return FeedRestarted(old.sequence, sequence)
        self.position = FeedPosition(old.sequence, generation)
        return None

    def receive(self, event: ChangesSeen | FeedGap) -> None:
        self.position = FeedPosition(event.upto, self.position.generation)
        self._losses = 0

    def pause_after_loss(self) -> float:
        """Seconds until the next attempt. The first retry is immediate,
        because connecting waits for the store anyway."""
        self._losses += 1
        if self._losses == 1:
            return 0.0
        return min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._losses - 2, 10))
