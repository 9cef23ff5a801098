"""Clocks of two layers are the same values as plain ones, and an update costs what it holds, not what there is."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from peatnode.documents.yjs.clocks.base_clocks import (
    BaseClocks,
    base_id,
    decode_clocks,
    encode_clocks,
)
from peatnode.documents.yjs.clocks.folding import (
    MAX_LAYER,
    NO_CLOCKS,
    SEPARATE_SIZE,
    DocumentClocks,
    on_base,
)
from peatnode.documents.yjs.clocks.layers import LayeredRanges, LayeredVector
from peatnode.documents.yjs.delete_set import DeleteSet, encode_delete_set
from peatnode.documents.yjs.state_vector import encode_state_vector

CLIENTS = 12


def _some_ranges(rng: random.Random) -> DeleteSet:
    ranges = []
    for _ in range(rng.randrange(6)):
        start = rng.randrange(60)
        ranges.append((rng.randrange(CLIENTS), start, start + rng.randrange(1, 6)))
    return DeleteSet.from_ranges(ranges)


def _reloaded(clocks: DocumentClocks) -> DocumentClocks:
    """As a record from disk has them: the base is loaded when it is needed."""
    vector, ranges = clocks.vector, clocks.deleted.ranges
    assert isinstance(vector, LayeredVector)
    assert isinstance(ranges, LayeredRanges)
    stored = encode_clocks(vector.base.clocks)
    assert base_id(stored) == vector.base.id
    base = BaseClocks(vector.base.id, lambda _: decode_clocks(stored))
    return on_base(base, vector.changed, ranges.added)


def test_layers_are_the_same_values_as_plain_clocks(rng: random.Random) -> None:
    for _ in range(150):
        plain = DocumentClocks({}, _some_ranges(rng), {9: 4, 2: 7})
        layered = plain.folded()
        for _ in range(rng.randrange(8)):
            reached = {
                rng.randrange(CLIENTS): rng.randrange(1, 99) for _ in range(rng.randrange(4))
            }
            new = _some_ranges(rng)
            plain = plain._replace(
                vector={**plain.vector, **reached}, deleted=plain.deleted.union(new)
            )
            layered = layered.after(reached, new)
            if rng.random() < 0.1:
                ended = {rng.randrange(CLIENTS): 5}
                plain, layered = plain.with_ended(ended), layered.with_ended(ended)
            if rng.random() < 0.3:
                layered = _reloaded(layered.folded())
        _compare(plain, layered)
        asked = _some_ranges(rng)
        assert asked.subtract(layered.deleted) == asked.subtract(plain.deleted)
        assert layered.deleted.subtract(asked) == plain.deleted.subtract(asked)
        assert asked.union(layered.deleted) == asked.union(plain.deleted)


def _compare(plain: DocumentClocks, layered: DocumentClocks) -> None:
    vector, deleted = layered.vector, layered.deleted
    assert isinstance(vector, LayeredVector)
    assert plain.vector == vector
    assert vector == plain.vector
    assert dict(vector) == plain.vector
    assert len(vector) == len(plain.vector)
    assert bool(vector) == bool(plain.vector)
    assert encode_state_vector(vector) == encode_state_vector(plain.vector)
    assert deleted == plain.deleted
    assert list(deleted) == list(plain.deleted)
    assert deleted.is_empty == plain.deleted.is_empty
    assert encode_delete_set(deleted) == encode_delete_set(plain.deleted)
    assert layered.ended == plain.ended
    assert list(layered.ended) == list(plain.ended)
    for client in range(CLIENTS + 1):
        assert vector.get(client, -1) == plain.vector.get(client, -1)
        assert (client in vector) == (client in plain.vector)
        assert deleted.ranges.get(client) == plain.deleted.ranges.get(client)
        for clock in range(70):
            assert deleted.contains(client, clock) == plain.deleted.contains(client, clock)


def test_an_id_or_clock_that_is_unknown_raises_as_in_any_mapping() -> None:
    clocks = DocumentClocks({1: 2}, DeleteSet.from_ranges([(1, 0, 1)]), {3: 4}).folded()
    for mapping in (clocks.vector, clocks.deleted.ranges):
        assert mapping[1]
        with pytest.raises(KeyError):
            mapping[2]
        assert mapping.get(2) is None


def test_clocks_become_a_base_when_there_are_many_and_a_new_one_when_much_has_changed() -> None:
    clocks = NO_CLOCKS
    for client in range(SEPARATE_SIZE):
        clocks = clocks.after({client: 1}, DeleteSet())
    assert clocks.base is None
    clocks = clocks.after({SEPARATE_SIZE: 1}, DeleteSet())
    first = clocks.base
    assert first is not None
    for clock in range(MAX_LAYER // 2):
        gone = DeleteSet.from_ranges([(7, 2 * clock, 2 * clock + 1)])
        clocks = clocks.after({100 + clock: clock + 2}, gone)
    assert clocks.base is first
    clocks = clocks.after({7: 9000}, DeleteSet())
    assert clocks.base is not first
    assert clocks.base is not None
    assert clocks.vector.get(7) == 9000
    assert len(clocks.vector) == SEPARATE_SIZE + 1 + MAX_LAYER // 2
    assert clocks.deleted.contains(7, 2)
    assert not clocks.deleted.contains(7, 1)


def test_ranges_of_one_client_alone_become_a_base() -> None:
    gone = DeleteSet.from_ranges((1, 2 * n, 2 * n + 1) for n in range(SEPARATE_SIZE + 1))
    assert NO_CLOCKS.after({1: 200}, gone).base is not None


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x97" + b"\xc4\1x" * 7, b"\xc1"])
def test_bytes_that_are_no_clocks_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not clocks"):
        decode_clocks(data)


def _crowd(clients: int) -> DocumentClocks:
    gone = DeleteSet.from_ranges((7 * n, 0, 1) for n in range(clients))
    ended = {7 * n + 1: 5 for n in range(4096)}
    return DocumentClocks({7 * n: 2 for n in range(clients)}, gone, ended).folded()


def _allocated_by_one_update(clocks: DocumentClocks, clients: int) -> int:
    update = DeleteSet.from_ranges([(7 * (clients // 2), 1, 2), (7 * (clients // 2), 0, 1)])
    tracemalloc.start()
    new = update.subtract(clocks.deleted)
    after = clocks.after({7 * (clients // 2): 3, 3: 1}, new)
    allocated = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(new) == [(7 * (clients // 2), 1, 2)]
    assert after.vector.get(3) == 1
    return allocated


def test_an_update_allocates_what_it_holds_not_what_there_is() -> None:
    few, many = (_allocated_by_one_update(_crowd(n), n) for n in (70, 50_000))
    assert many < 2 * few + 1000
    assert many < 10_000
