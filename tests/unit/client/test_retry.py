from random import Random

import pytest

from peatnode.client.errors import Problem, Unavailable, UnknownOutcome, Unreachable
from peatnode.client.retry import RetryPolicy


def refused(status: int, code: str = "") -> Unavailable:
    return Unavailable(Problem(status, "no", code=code))


@pytest.mark.parametrize(
    ("error", "read_again", "written_again"),
    [
        (Unreachable("x"), True, True),
        (UnknownOutcome("x"), True, False),
        (refused(429), True, True),
        (refused(503, "unavailable"), True, True),
        (refused(503, "busy"), True, True),
        (refused(503, "stopping"), True, True),
        (refused(503), True, False),
        (refused(502), True, False),
        (refused(500), False, False),
        (refused(507, "storage"), False, False),
    ],
)
def test_a_write_is_repeated_only_when_nothing_was_changed(
    error: Unreachable | UnknownOutcome | Unavailable,
    read_again: bool,
    written_again: bool,
    rng: Random,
) -> None:
    policy = RetryPolicy()
    for is_read, again in ((True, read_again), (False, written_again)):
        pause = policy.pause(error, 1, is_read, None, rng)
        assert (pause is not None) == again


def test_it_ends_after_the_attempts(rng: Random) -> None:
    policy = RetryPolicy(attempts=3)
    pauses = [policy.pause(Unreachable("x"), attempt, True, None, rng) for attempt in (1, 2, 3)]
    assert pauses[0] is not None
    assert pauses[1] is not None
    assert pauses[2] is None


def test_pauses_grow_with_jitter_and_have_an_end(rng: Random) -> None:
    policy = RetryPolicy(first_seconds=0.1, longest_seconds=2.0)
    for attempt in range(1, 60):
        ceiling = min(2.0, 0.1 * 2 ** (attempt - 1))
        assert ceiling / 2 <= policy.backoff(attempt, rng) <= ceiling


def test_the_node_says_how_long_to_wait_but_not_too_long(rng: Random) -> None:
    policy = RetryPolicy(longest_seconds=5.0)
    assert policy.pause(refused(429), 1, False, 2.0, rng) == 2.0
    assert policy.pause(refused(429), 1, False, 3600.0, rng) == 5.0
