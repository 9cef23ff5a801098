"""Which writes may set an expiry, and when documents may end."""

from __future__ import annotations

import pytest

from peatnode.ipc.messages import Failure, JudgeClock, WriteDocument, WriteKind
from peatnode.model.clock import JUMP_SECONDS, UNCOMPARED, ClockReading, ClockState, ClockVerdict
from workers.store.write.expiry_clock import SILENCE_SECONDS, ExpiryClock

START = ClockReading(1_900_000_000.0, 1_800_000_000.0)


def later(seconds: float, set_by: float = 0.0) -> ClockReading:
    return ClockReading(START.unix + seconds + set_by, START.shift + set_by)


def write(expires_at: float, kind: WriteKind = WriteKind.PUT) -> WriteDocument:
    return WriteDocument("c", "d", kind, b"{}", expires_at=expires_at)


def judged(state: ClockState) -> ExpiryClock:
    clock = ExpiryClock(START)
    clock.judged(JudgeClock(ClockVerdict(state, "b is 9 s ahead"), START.shift))
    return clock


def code(clock: ExpiryClock, reading: ClockReading, expires_at: float = 2e9) -> Failure | None:
    refusal = clock.refusal(write(expires_at), reading)
    return None if refusal is None else refusal.code


@pytest.mark.parametrize(
    ("state", "refusal", "may_end"),
    [
        (ClockState.RIGHT, None, True),
        (ClockState.WAITING, None, False),
        (ClockState.STARTING, Failure.UNAVAILABLE, False),
        (ClockState.IN_DOUBT, Failure.CLOCK, False),
        (ClockState.WRONG, Failure.CLOCK, False),
    ],
)
def test_a_verdict_decides(state: ClockState, refusal: Failure | None, may_end: bool) -> None:
    clock = judged(state)
    assert code(clock, later(1.0)) is refusal
    assert clock.may_end_documents(later(1.0)) is may_end
    assert code(clock, later(1.0), expires_at=0.0) is None, "an expiry may be taken back"
    assert code(clock, later(1.0), expires_at=-1.0) is None


def test_the_sentence_says_what_is_wrong_and_what_to_do() -> None:
    refusal = judged(ClockState.WRONG).refusal(write(2e9), later(1.0))
    assert refusal is not None
    assert refusal.message == (
        "no expiry can be set because b is 9 s ahead. Set the clock (NTP), or write without a ttl"
    )
    assert refusal.where == "ttl"


@pytest.mark.parametrize("jump", [JUMP_SECONDS + 1, -JUMP_SECONDS - 1])
def test_a_verdict_does_not_hold_for_a_clock_that_has_jumped(jump: float) -> None:
    clock = judged(ClockState.RIGHT)
    assert code(clock, later(1.0, set_by=jump)) is Failure.UNAVAILABLE
    assert not clock.may_end_documents(later(1.0, set_by=jump))
    assert clock.may_end_documents(later(1e6, set_by=JUMP_SECONDS - 1))


def test_a_store_that_is_told_nothing_waits_and_then_goes_by_its_clock() -> None:
    clock = ExpiryClock(START)
    assert code(clock, later(1.0)) is Failure.UNAVAILABLE
    assert not clock.may_end_documents(later(1.0))
    assert code(clock, later(SILENCE_SECONDS)) is None
    assert clock.may_end_documents(later(SILENCE_SECONDS))
    in_1970 = later(SILENCE_SECONDS, set_by=-START.unix)
    assert code(clock, in_1970) is Failure.UNAVAILABLE
    assert not clock.may_end_documents(in_1970)


def test_a_store_is_told_of_a_start_that_takes_back_an_older_verdict() -> None:
    clock = judged(ClockState.RIGHT)
    clock.judged(JudgeClock(UNCOMPARED, START.shift))
    assert not clock.may_end_documents(later(1.0))
