"""The codec against a second engine, on random histories."""

import random

import pytest

from peatnode.documents.content.fingerprint import fingerprint
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import unkeyed_sums
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import diff_update, merge_updates, subtract_known
from peatnode.documents.yjs.projection import project
from peatnode.documents.yjs.state_vector import decode_state_vector
from peatnode.documents.yjs.update import decode_update, encode_update
from tests.support.yjs_histories import random_history

BATCH = 250
BATCHES = range(8)


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_random_histories_agree_with_the_engine(rng: random.Random) -> None:
    for number in range(BATCH):
        writers = random_history(rng, flat=number % 2 == 0)
        shuffled = rng.sample(writers.deltas, len(writers.deltas))
        whole = merge_updates(shuffled)
        expected = writers.replay(*writers.deltas)
        merged = writers.replay(encode_update(whole))
        assert writers.view(merged) == writers.view(expected), number
        assert decode_state_vector(merged.get_state()) == whole.state_vector(), number
        small = compact(whole)
        assert writers.view(writers.replay(encode_update(small))) == writers.view(expected), number
        replica = writers.docs[0]
        sv = decode_state_vector(replica.get_state())
        deleted = decode_update(replica.get_update()).delete_set
        for news in (diff_update(small, sv), subtract_known(whole, sv, deleted)):
            assert missing_for(news, sv) is None, number
        replica.apply_update(encode_update(news))
        assert writers.view(replica) == writers.view(expected), number


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_replicas_that_heard_in_different_orders_have_one_fingerprint(rng: random.Random) -> None:
    for number in range(BATCH // 5):
        writers = random_history(rng)
        prints = set()
        for _ in range(3):
            heard = rng.choices(writers.deltas, k=len(writers.deltas)) + writers.deltas
            rng.shuffle(heard)
            state = merge_updates(heard[:5])
            for update in heard[5:]:
                state = merge_updates([state, update])
                state = compact(state) if rng.random() < 0.2 else state
            prints.add(fingerprint(1, False, state_sum(unkeyed_sums(), state)))
        assert len(prints) == 1, number


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_projected_root_reads_the_same_and_the_others_are_empty(rng: random.Random) -> None:
    for number in range(BATCH // 2):
        writers = random_history(rng)
        part = project(merge_updates(writers.deltas), lambda name: name in ("root", "list"))
        got = writers.replay(encode_update(part))
        root, items, *_ = writers.view(writers.replay(*writers.deltas))
        assert writers.view(got) == (root, items, {}, "", ""), number
