"""The wall clock of a node: what it reads, and whether expiries go by it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

EARLIEST_CLOCK = 1_704_067_200.0
"""2024-01-01 in Unix seconds. A clock before it is wrong: this software did not exist."""

TOLERANCE_SECONDS = 30.0
"""Clocks that differ by at most this much agree."""

SET_SECONDS = 1.0
"""A larger change of `ClockReading.shift` means that the wall clock was set; a smaller one, that it is adjusted."""

JUMP_SECONDS = 15.0
"""A larger change of `ClockReading.shift` is a jump. A verdict holds for the clock as it was before."""


class ClockReading(NamedTuple):
    """The wall clock at one moment."""

    unix: float
    """Unix seconds."""
    shift: float
    """`unix` minus a clock that never jumps and that runs while the machine sleeps, in seconds.
    It changes only when the wall clock is set."""

    @property
    def steady(self) -> float:
        return self.unix - self.shift


class ClockState(StrEnum):
    """What the clocks of the peers say about the clock of this node."""

    STARTING = "starting"
    """It has not been compared since the start of the sync process."""
    WAITING = "waiting"
    """No peer is known, and discovery may still find one: expiries are set, and not carried out."""
    RIGHT = "right"
    """It agrees with more than half of the clocks, or there is none to compare it with."""
    IN_DOUBT = "in-doubt"
    """It agrees with half of the clocks, or it was set since it was last compared."""
    WRONG = "wrong"
    """It agrees with less than half of the clocks, or no clock can be right that shows this time."""


@dataclass(frozen=True, slots=True)
class ClockVerdict:
    """Whether the wall clock of this node is right."""

    state: ClockState
    reason: str
    """One clause for the operator, without a capital letter and a full stop."""

    @property
    def may_set_expiries(self) -> bool:
        return self.state in (ClockState.RIGHT, ClockState.WAITING)

    @property
    def may_end_documents(self) -> bool:
        """Whether documents whose expiry has passed are deleted."""
        return self.state is ClockState.RIGHT

    @property
    def is_denied(self) -> bool:
        """Whether the clocks contradict each other, so that the operator has to act."""
        return self.state in (ClockState.IN_DOUBT, ClockState.WRONG)


UNCOMPARED = ClockVerdict(
    ClockState.STARTING, "the clock has not been compared with those of the peers yet"
)
