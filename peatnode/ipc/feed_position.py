"""Where a follower of the feed resumes, and when it tries again. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.ipc.messages import ChangesSeen, FeedGap
from peatnode.model.feed import FeedRestarted

FIRST_PAUSE_SECONDS = 0.05
MAX_PAUSE_SECONDS = 1.0
"""Before a stream is opened again that has failed several times in a row."""


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """A sequence, and the store that counted it."""

    sequence: int = -1
    """Everything up to here has been received; negative: the follower begins with what comes next."""
    generation: int | None = None
    """Of the store. None: not known, as of a sequence that a client of the API names."""

    @property
    def is_known(self) -> bool:
        return self.sequence >= 0

    def has_reached(self, other: FeedPosition) -> bool:
        """Whether everything up to `other` has been received, in the same feed."""
        is_same = None not in (self.generation, other.generation) and (
            self.generation == other.generation
        )
        return is_same and other.is_known and self.sequence >= other.sequence


class FollowerState:
    """The position of one follower, across streams that break.

    A store keeps its generation exactly as long as it goes on from its own files. So under another generation, or with
    fewer changes than were received, a position means nothing: the feed has restarted, and the follower goes on from
    the newest change.
    """

    def __init__(self, position: FeedPosition) -> None:
        self.position = position
        self._losses = 0
        """In a row, without an event between them."""

    def open(self, sequence: int, generation: int) -> ChangesSeen | FeedRestarted | None:
        """Takes the newest sequence and the generation of the store that is about to be followed.

        Returns what the follower has to know first: where it begins, or that the feed has restarted.
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
        """Seconds until the next attempt. The first is made at once: connecting waits for the store anyway."""
        self._losses += 1
        if self._losses == 1:
            return 0.0
        return min(MAX_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._losses - 2, 10))
