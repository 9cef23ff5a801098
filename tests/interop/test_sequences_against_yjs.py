"""The order of items, found by the codec, against the reference implementation, on random histories."""

import random
from base64 import b64decode
from typing import Any

import pytest

from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import decode_update
from tests.support.contended_histories import in_some_causal_order, read_lists

BATCH = 60
BATCHES = range(4)


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_concurrent_edits_at_one_place_have_the_order_of_yjs(yjs: Any, rng: random.Random) -> None:
    for _ in range(BATCH):
        seed = rng.randrange(2**31)
        history = yjs.ask("contended", seed=seed, writers=2 + seed % 3, steps=60)
        expected = history["list"], history["text"]
        updates = [decode_update(b64decode(delta)) for delta in history["deltas"]]
        assert read_lists(merge_updates(rng.sample(updates, len(updates)))) == expected, seed
        assert read_lists(decode_update(b64decode(history["state"]))) == expected, seed
        assert read_lists(*in_some_causal_order(rng, updates)) == expected, seed
