"""What the clocks of the peers say about the own one."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from peatnode.model.clock import TOLERANCE_SECONDS, ClockReading, ClockState, ClockVerdict
from peatnode.protocol.clock.judge import (
    RETURN_SECONDS,
    SETTLE_SECONDS,
    START_SECONDS,
    ClockJudge,
)

TRUE_TIME = 1_900_000_000.0
STARTING, WAITING, RIGHT, IN_DOUBT, WRONG = (
    ClockState.STARTING,
    ClockState.WAITING,
    ClockState.RIGHT,
    ClockState.IN_DOUBT,
    ClockState.WRONG,
)


@dataclass
class Clocks:
    """A judge, the true time, and how wrong the own clock is."""

    now: float = 0.0
    error: float = 0.0
    judge: ClockJudge = field(default_factory=lambda: ClockJudge(0.0))

    @property
    def reading(self) -> ClockReading:
        return ClockReading(TRUE_TIME + self.now + self.error, TRUE_TIME + self.error)

    def verdict(self) -> ClockVerdict:
        return self.judge.review(self.now, self.reading)

    def state(self) -> ClockState:
        return self.verdict().state

    def hear(self, **errors: float) -> ClockState:
        """Peers tell the time, each as wrong as this."""
        for name, error in errors.items():
            self.judge.measured(name, name, TRUE_TIME + self.now + error, self.reading)
        return self.state()


@pytest.mark.parametrize(
    ("own", "peers", "state"),
    [
        (0.0, {"a": TOLERANCE_SECONDS}, RIGHT),
        (0.0, {"a": TOLERANCE_SECONDS + 1}, IN_DOUBT),
        (0.0, {"a": -TOLERANCE_SECONDS - 1}, IN_DOUBT),
        (0.0, {"a": 0.0, "b": 7200.0}, RIGHT),
        (7200.0, {"a": 0.0, "b": 0.0}, WRONG),
        (7200.0, {"a": 0.0, "b": 3600.0}, WRONG),
        (0.0, {"a": 0.0, "b": 7200.0, "c": 7200.0}, IN_DOUBT),
        (0.0, {"a": 0.0, "b": 0.0, "c": 7200.0, "d": -7200.0}, RIGHT),
    ],
)
def test_right_is_who_agrees_with_more_than_half(
    own: float, peers: dict[str, float], state: ClockState
) -> None:
    clocks = Clocks(error=own)
    assert clocks.hear(**peers) is state
    assert clocks.verdict().may_set_expiries == (state is RIGHT)
    assert clocks.verdict().may_end_documents == (state is RIGHT)


def test_the_sentence_names_the_peers_and_their_differences() -> None:
    clocks = Clocks(error=7200.0)
    clocks.hear(a=0.0, b=1.0, c=-3.0, d=7200.0, e=86400.0)
    assert clocks.verdict().reason == (
        "the clock of this node differs from those of 4 of 5 connected peers: "
        "e is 79,200 s ahead, c is 7,203 s behind, a is 7,200 s behind, and 1 more"
    )


def test_a_small_change_of_a_difference_makes_no_new_verdict() -> None:
    clocks = Clocks()
    clocks.hear(a=7200.0)
    verdict = clocks.verdict()
    clocks.hear(a=7202.0)
    assert clocks.verdict() is verdict
    clocks.hear(a=7210.0)
    assert "7,210 s" in clocks.verdict().reason


def test_a_clock_at_the_limit_does_not_flap() -> None:
    clocks = Clocks()
    between = (TOLERANCE_SECONDS + RETURN_SECONDS) / 2
    assert clocks.hear(a=between) is RIGHT
    assert clocks.hear(a=TOLERANCE_SECONDS + 1) is IN_DOUBT
    assert clocks.hear(a=between) is IN_DOUBT
    assert clocks.hear(a=RETURN_SECONDS - 1) is RIGHT


def test_a_jump_of_the_own_clock_is_known_without_a_new_measurement() -> None:
    clocks = Clocks()
    assert clocks.hear(a=0.0, b=0.0) is RIGHT
    clocks.error = 7200.0
    assert clocks.state() is WRONG
    clocks.error = 0.0
    assert clocks.state() is RIGHT


def test_a_peer_that_left_has_no_voice() -> None:
    clocks = Clocks()
    assert clocks.hear(a=0.0, b=7200.0) is RIGHT
    clocks.judge.left("b")
    assert clocks.verdict().reason == "the clock agrees with those of 1 of 1 connected peers"
    assert clocks.judge.offset_of("b", clocks.reading) is None


@pytest.mark.parametrize(("error", "state"), [(0.0, RIGHT), (7200.0, WRONG)])
def test_without_a_peer_the_verdict_stays(error: float, state: ClockState) -> None:
    clocks = Clocks(error=error)
    assert clocks.hear(a=0.0, b=0.0) is state
    clocks.judge.left("a")
    clocks.judge.left("b")
    clocks.now = 1e6
    assert clocks.state() is state


def test_a_jump_without_a_peer_takes_the_right_and_gives_none() -> None:
    clocks = Clocks()
    clocks.hear(a=0.0)
    clocks.judge.left("a")
    clocks.error = 100.0
    assert clocks.state() is IN_DOUBT
    assert "was set forward by 100 s" in clocks.verdict().reason
    clocks.now = 1e6
    assert clocks.state() is IN_DOUBT
    clocks.error = 0.0
    assert clocks.state() is RIGHT
    clocks.hear(a=7200.0)
    clocks.judge.left("a")
    clocks.error = 7200.0
    assert clocks.state() is IN_DOUBT


@pytest.mark.parametrize(
    ("are_known", "are_sought", "settled", "started"),
    [
        (False, False, RIGHT, RIGHT),
        (False, True, WAITING, RIGHT),
        (True, True, STARTING, RIGHT),
    ],
)
def test_a_start_waits_for_a_comparison_as_long_as_one_is_to_be_expected(
    are_known: bool, are_sought: bool, settled: ClockState, started: ClockState
) -> None:
    clocks = Clocks()
    clocks.judge.knows_peers, clocks.judge.may_find_peers = are_known, are_sought
    assert clocks.state() is STARTING
    assert not clocks.verdict().may_set_expiries
    clocks.now = SETTLE_SECONDS
    assert clocks.state() is settled
    assert clocks.verdict().may_set_expiries == (settled is not STARTING)
    assert clocks.verdict().may_end_documents == (settled is RIGHT)
    clocks.now = START_SECONDS
    assert clocks.state() is started
    clocks.error = 1e6
    assert clocks.state() is STARTING, "a jump begins the wait anew"
    clocks.now += START_SECONDS
    assert clocks.state() is RIGHT


def test_a_clock_before_this_software_is_wrong_without_a_peer_and_has_no_voice() -> None:
    clocks = Clocks(error=-TRUE_TIME)
    assert clocks.state() is WRONG
    assert (
        clocks.verdict().reason == "the clock of this node shows 1970-01-01, which cannot be right"
    )
    clocks.error = 0.0
    assert clocks.hear(a=-TRUE_TIME) is STARTING
    clocks.now = START_SECONDS
    assert clocks.state() is RIGHT
    clocks.error = -1e12
    assert clocks.state() is WRONG


def test_a_clock_that_was_corrected_is_what_it_was_before() -> None:
    clocks = Clocks()
    clocks.hear(a=0.0)
    clocks.judge.left("a")
    clocks.error = -TRUE_TIME
    assert clocks.state() is WRONG
    clocks.error = 0.0
    assert clocks.state() is RIGHT


def test_of_several_instances_of_a_node_the_last_one_counts() -> None:
    """A node with a wrong clock that is killed and is back is connected twice for ten seconds."""
    clocks = Clocks()
    assert clocks.hear(a=0.0, dead=7200.0) is RIGHT
    clocks.judge.measured("new", "dead", TRUE_TIME + 7200.0, clocks.reading)
    assert clocks.state() is RIGHT
    assert clocks.judge.ahead(clocks.reading) == {"a": 0.0, "dead": -7200.0}
    clocks.judge.left("dead")
    assert clocks.judge.ahead(clocks.reading) == {"a": 0.0, "dead": -7200.0}


def test_a_message_that_waited_does_not_make_a_clock_late() -> None:
    clocks = Clocks()
    clocks.hear(a=0.0)
    for error in (-20.0, -20.0):
        clocks.hear(a=error)
        assert clocks.judge.ahead(clocks.reading) == {"a": 0.0}
    clocks.hear(a=-20.0)
    assert clocks.judge.ahead(clocks.reading) == {"a": 20.0}, "the clock was set back"
    clocks.hear(a=1.0)
    assert clocks.judge.ahead(clocks.reading) == {"a": -1.0}
