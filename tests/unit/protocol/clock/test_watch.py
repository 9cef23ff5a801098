"""What the store and the shell are told of the clock."""

from __future__ import annotations

from collections.abc import Callable

from peatnode.model.clock import ClockReading, ClockState, ClockVerdict
from peatnode.model.sync import ClockReply, JudgeClock, StoreAnswer
from peatnode.protocol.clock.judge import START_SECONDS
from peatnode.protocol.clock.watch import RETRY_SECONDS, ClockWatch

UNIX = 1_900_000_000.0


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.error = 0.0
        self.told: list[JudgeClock] = []
        self.announced: list[ClockVerdict] = []
        self.timer = 0.0
        self._then: list[Callable[[StoreAnswer | None], None]] = []
        self.said: list[str] = []
        self.watch = ClockWatch(0.0, self._tell, self._announce, self._set_timer)

    def _tell(self, told: JudgeClock, then: Callable[[StoreAnswer | None], None]) -> None:
        self.told.append(told)
        self._then.append(then)

    def _announce(self, verdict: ClockVerdict, deviation: str) -> None:
        self.announced.append(verdict)
        self.said.append(deviation)

    def _set_timer(self, seconds: float) -> None:
        self.timer = seconds

    def read(self) -> None:
        self.watch.read(self.now, ClockReading(UNIX + self.now + self.error, UNIX + self.error))

    def answer(self, answer: StoreAnswer | None) -> None:
        self._then.pop()(answer)

    def hear(self, error: float = 0.0, rtt: float = 0.0) -> None:
        self.read()
        self.watch.heard("i", "a", int((UNIX + self.now + error) * 1000), rtt)


def test_without_a_reading_nothing_is_told() -> None:
    bench = Bench()
    bench.watch.heard("i", "a", 5, 0.1)
    bench.watch.left("i")
    bench.watch.expect_peers(True, True)
    bench.watch.store_lost()
    assert (bench.told, bench.announced, bench.watch.milliseconds) == ([], [], 0)
    assert bench.watch.offset_of("i") is None


def test_a_message_was_on_its_way_for_half_a_round_trip() -> None:
    bench = Bench()
    bench.hear(error=-0.2, rtt=0.4)
    offset = bench.watch.offset_of("i")
    assert offset is not None
    assert abs(offset) < 0.001
    bench.watch.heard("other", "b", 0, 0.0)
    assert bench.watch.offset_of("other") is None


def test_one_verdict_at_a_time_is_told_and_the_last_one_arrives() -> None:
    bench = Bench()
    bench.read()
    bench.hear(error=7200.0)
    bench.hear(error=0.0)
    assert [told.verdict.state for told in bench.told] == [ClockState.STARTING]
    bench.answer(ClockReply())
    assert bench.told[-1].verdict.state is ClockState.RIGHT
    bench.answer(ClockReply())
    assert len(bench.told) == 2
    states = [verdict.state for verdict in bench.announced]
    assert states == [ClockState.STARTING, ClockState.IN_DOUBT, ClockState.RIGHT]


def test_what_did_not_reach_the_store_is_told_again() -> None:
    bench = Bench()
    bench.read()
    bench.answer(None)
    assert bench.timer == RETRY_SECONDS
    bench.watch.review()
    assert len(bench.told) == 2


def test_a_new_process_of_the_store_is_told_even_if_the_old_one_had_answered() -> None:
    bench = Bench()
    bench.read()
    bench.watch.store_lost()
    bench.answer(ClockReply())
    assert len(bench.told) == 2, "the answer may be that of the old process"
    bench.answer(ClockReply())
    bench.watch.store_lost()
    assert len(bench.told) == 3


def test_a_verdict_is_renewed_when_the_clock_was_set_a_little() -> None:
    bench = Bench()
    bench.read()
    bench.answer(ClockReply())
    bench.error = 2.0
    bench.read()
    assert [told.shift for told in bench.told] == [UNIX, UNIX + 2.0]


def test_a_start_is_reviewed_often_and_a_verdict_seldom() -> None:
    bench = Bench()
    bench.read()
    assert bench.timer == 1.0
    bench.now = START_SECONDS
    bench.read()
    bench.watch.review()
    assert bench.timer == 5.0


def test_a_verdict_is_never_told_with_a_clock_that_it_is_not_about() -> None:
    bench = Bench()
    bench.hear()
    bench.answer(ClockReply())
    bench.answer(ClockReply())
    bench.watch.store_lost()
    bench.error = 7200.0
    bench.read()
    bench.answer(None)
    bench.watch.store_lost()
    told = {(told.verdict.state, told.shift) for told in bench.told}
    assert (ClockState.RIGHT, UNIX + 7200.0) not in told
    assert bench.told[-1].verdict.state is ClockState.IN_DOUBT


def test_a_clock_that_is_far_from_the_median_is_announced_until_it_is_set_right() -> None:
    bench = Bench()
    bench.read()
    assert bench.watch.ahead is None
    bench.error = 12.4
    bench.hear()
    said = "this node's clock is 12.4 s ahead of that of its only connected peer, a"
    assert bench.said[-1] == bench.watch.summary.reason == said
    assert bench.watch.verdict.state is bench.watch.summary.state is ClockState.RIGHT
    bench.error = 0.0
    bench.read()
    bench.watch.review()
    assert bench.said[-1] == ""
    assert bench.watch.ahead == 0.0
    bench.watch.left("i")
    assert bench.watch.ahead is None


def test_a_clock_that_is_denied_says_so_and_not_how_far_it_is_from_the_median() -> None:
    bench = Bench()
    bench.error = 7200.0
    bench.hear()
    assert bench.watch.summary == bench.watch.verdict
    assert bench.watch.verdict.is_denied
