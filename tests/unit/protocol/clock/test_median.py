"""The distance of a clock from the median, and the sentence of the finding."""

from __future__ import annotations

import random

import pytest

from peatnode.protocol.clock.median import (
    DEVIATION_SECONDS,
    SETTLED_SECONDS,
    ClockDeviation,
    ahead_of_median,
)


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ([12.0], 12.0),
        ([0.0, -12.0], 0.0),
        ([12.0, 12.0], 12.0),
        ([12.0, 24.0], 12.0),
        ([0.0, 0.0, -12.0], 0.0),
        ([0.0, -12.0, -12.0], -12.0),
        ([12.0, 12.0, 0.0], 12.0),
        ([1.0, 2.0, 12.0, 13.0], 2.0),
    ],
)
def test_the_median_is_the_clock_of_somebody(ahead: list[float], expected: float) -> None:
    assert ahead_of_median(ahead) == expected


def test_one_wrong_clock_among_three_or_more_is_the_only_one_that_reports_itself(
    rng: random.Random,
) -> None:
    for _ in range(200):
        count, error = rng.randint(3, 9), rng.choice([-1, 1]) * rng.uniform(5.1, 1e6)
        clocks = [error] + [0.0] * (count - 1)
        found = [
            ahead_of_median([own - other for i, other in enumerate(clocks) if i != at])
            for at, own in enumerate(clocks)
        ]
        assert found == clocks


def test_the_finding_has_the_number_and_does_not_flap() -> None:
    clock = ClockDeviation()
    clock.review({"a": DEVIATION_SECONDS})
    assert (clock.seconds, clock.sentence) == (DEVIATION_SECONDS, "")
    clock.review({"a": 12.44, "b": 12.44, "c": 0.0})
    assert clock.sentence == "this node's clock is 12.4 s ahead of the median of its 3 peers"
    clock.review({"a": 12.9, "b": 12.9, "c": 0.0})
    assert "12.4 s" in clock.sentence, "not a new sentence with each measurement"
    clock.review({"a": -5.0 + 0.5, "b": -5.0 + 0.5, "c": 0.0})
    assert clock.sentence == "this node's clock is 4.5 s behind the median of its 3 peers"
    clock.review({"a": SETTLED_SECONDS, "b": SETTLED_SECONDS, "c": 0.0})
    assert clock.sentence == ""
    clock.review({"a": 4.5})
    assert clock.sentence == ""
    clock.review({"a": -7200.0})
    assert clock.sentence == (
        "this node's clock is 7,200.0 s behind that of its only connected peer, a"
    )
    clock.review({})
    assert (clock.seconds, clock.sentence) == (None, "")
