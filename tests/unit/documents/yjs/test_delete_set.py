import random

from peatnode.documents.yjs.delete_set import DeleteSet

Clocks = set[tuple[int, int]]


def _random(rng: random.Random) -> tuple[DeleteSet, Clocks]:
    ranges = []
    for _ in range(rng.randrange(8)):
        start = rng.randrange(30)
        ranges.append((rng.randrange(3), start, start + rng.randrange(8)))
    clocks = {(client, clock) for client, start, end in ranges for clock in range(start, end)}
    return DeleteSet.from_ranges(ranges), clocks


def _clocks(deleted: DeleteSet) -> Clocks:
    return {(client, clock) for client, start, end in deleted for clock in range(start, end)}


def test_it_is_a_set_of_clocks(rng: random.Random) -> None:
    for _ in range(2000):
        (a, in_a), (b, in_b) = _random(rng), _random(rng)
        assert _clocks(a) == in_a
        assert a.union(b) == b.union(a)
        assert _clocks(a.union(b)) == in_a | in_b
        assert _clocks(a.subtract(b)) == in_a - in_b
        assert a.subtract(b).union(b) == a.union(b)
        assert a.is_empty == (not in_a)
        for client in range(3):
            for clock in range(40):
                assert a.contains(client, clock) == ((client, clock) in in_a)


def test_equal_sets_are_equal_values() -> None:
    parts = DeleteSet.from_ranges([(1, 3, 5), (2, 0, 1), (1, 5, 9), (1, 4, 6), (3, 2, 2)])
    assert parts == DeleteSet.from_ranges([(2, 0, 1), (1, 3, 9)])
    assert list(parts) == [(2, 0, 1), (1, 3, 9)]
