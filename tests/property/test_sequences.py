"""The order of items, found by the codec, against a second engine, on random histories."""

import random

import pytest

from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import decode_update, encode_update
from tests.support.contended_histories import ContendedHistory, in_some_causal_order, read_lists

BATCH = 50
BATCHES = range(4)


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_concurrent_insertions_at_one_place_have_the_order_of_the_engine(
    rng: random.Random,
) -> None:
    for number in range(BATCH):
        history = ContendedHistory(rng, writers=2 + number % 3)
        expected = history.array, history.text
        whole = merge_updates(rng.sample(history.deltas, len(history.deltas)))
        assert read_lists(whole) == expected, number
        assert read_lists(decode_update(encode_update(compact(whole)))) == expected, number
        updates = [decode_update(delta) for delta in history.deltas]
        assert read_lists(*in_some_causal_order(rng, updates)) == expected, number
