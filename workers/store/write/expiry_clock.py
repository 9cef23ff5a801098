"""Whether expiries may go by the wall clock of this node, as sync has judged it."""

from __future__ import annotations

from peatnode.ipc.messages import Failed, Failure, JudgeClock, WriteDocument
from peatnode.model.clock import EARLIEST_CLOCK, JUMP_SECONDS, ClockReading

SILENCE_SECONDS = 30.0
"""A store that sync has told nothing for this time after its start goes by its clock."""

CLOCK_ADVICE = "Set the clock (NTP), or write without a ttl"


class ExpiryClock:
    """The last verdict of sync, and what follows from it for writes and for documents that are due.

    A verdict holds for the clock as it was judged. After a jump nothing goes by the clock until the next verdict.
    """

    def __init__(self, reading: ClockReading) -> None:
        self._started = reading.steady
        self._judged: JudgeClock | None = None

    def judged(self, message: JudgeClock) -> None:
        self._judged = message

    def may_end_documents(self, reading: ClockReading) -> bool:
        """Whether documents whose expiry has passed are deleted now."""
        if self._judged is None:
            return self._is_left_alone(reading)
        return self._judged.verdict.may_end_documents and not self._has_jumped(reading)

    def refusal(self, message: WriteDocument, reading: ClockReading) -> Failed | None:
        """Why a write may not set its expiry; None: it may, or it sets none."""
        if message.expires_at <= 0:
            return None
        if self._judged is None:
            return (
                None if self._is_left_alone(reading) else _not_yet("it has not been compared yet")
            )
        verdict = self._judged.verdict
        if verdict.is_denied:
            return Failed(
                Failure.CLOCK,
                f"no expiry can be set because {verdict.reason}. {CLOCK_ADVICE}",
                "ttl",
            )
        if self._has_jumped(reading):
            return _not_yet("it was set a moment ago")
        return None if verdict.may_set_expiries else _not_yet(verdict.reason)

    def _is_left_alone(self, reading: ClockReading) -> bool:
        has_waited = reading.steady - self._started >= SILENCE_SECONDS
        return has_waited and reading.unix >= EARLIEST_CLOCK

    def _has_jumped(self, reading: ClockReading) -> bool:
        assert self._judged is not None
        return abs(reading.shift - self._judged.shift) > JUMP_SECONDS


def _not_yet(reason: str) -> Failed:
    """The request may be repeated in a moment."""
    return Failed(
        Failure.UNAVAILABLE,
        f"no expiry can be set until the clock of this node has been judged: {reason}; try again",
        "ttl",
    )
