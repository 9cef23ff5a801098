"""Arrays and texts, read and written by the codec, against two engines, on random histories."""

import random

import pytest

from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import decode_update, encode_update
from tests.support.contended_histories import ContendedHistory, in_some_causal_order, read_lists
from tests.support.list_writers import CodecWriter, EngineWriter, changed, first_update, hear

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


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_nodes_without_an_engine_and_engines_write_the_same_document(rng: random.Random) -> None:
    for number in range(BATCH // 2):
        clients = rng.sample(range(1, 2**32), 4)
        writers = [*map(CodecWriter, clients[:2]), *map(EngineWriter, clients[2:])]
        updates, seen = [first_update()], [{0} for _ in writers]
        for writer in writers:
            writer.receive(updates[0])
        for _ in range(40):
            writer, known = rng.choice([*zip(writers, seen, strict=True)])
            if rng.random() < 0.3:
                hear(writer, known, updates, rng.randrange(len(updates) + 1))
                continue
            target = changed(rng, writer.value())
            update = writer.write(target)
            assert writer.value() == target, number
            if update:
                known.add(len(updates))
                updates.append(update)
        for writer, known in zip(writers, seen, strict=True):
            hear(writer, known, updates, len(updates))
        assert all(writer.value() == writers[0].value() for writer in writers), number
