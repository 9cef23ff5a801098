"""Arrays and texts, read and written by the codec, against the reference implementation, on random histories."""

import random
from base64 import b64decode, b64encode
from typing import Any

import pytest

from peatnode.documents.json.value import Shape, build
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import decode_update
from tests.support.contended_histories import in_some_causal_order, read_lists
from tests.support.list_writers import CodecWriter, changed, first_update, hear

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


def value_in_yjs(yjs: Any, updates: list[bytes]) -> Any:
    names = ["/l", "/m", "/o", "/s", "/o/l", "/s/l"]
    seen = yjs.ask("shape", updates=texts_of(updates), arrays=names, texts=["/t"])
    assert not seen["pending"]
    return build(Shape(**seen["shape"]))


def texts_of(updates: list[bytes]) -> list[str]:
    return [b64encode(update).decode() for update in updates]


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_nodes_without_an_engine_and_yjs_write_the_same_document(
    yjs: Any, rng: random.Random
) -> None:
    for number in range(BATCH // 4):
        clients = rng.sample(range(1, 2**32), 4)
        nodes = [*map(CodecWriter, clients[:2])]
        updates = [first_update()]
        seen: list[set[int]] = [{0} for _ in clients]
        for node in nodes:
            node.receive(updates[0])
        for _ in range(40):
            who = rng.randrange(4)
            if rng.random() < 0.3:
                end = rng.randrange(len(updates) + 1)
                if who < 2:
                    hear(nodes[who], seen[who], updates, end)
                seen[who].update(range(end))
                continue
            known = [updates[at] for at in sorted(seen[who])]
            if who < 2:
                target = changed(rng, nodes[who].value())
                made = nodes[who].write(target)
                if made:
                    assert value_in_yjs(yjs, [*known, made]) == target, number
            else:
                draw = rng.randrange(2**31)
                edit = yjs.ask("edited", updates=texts_of(known), client=clients[who], seed=draw)
                made = b64decode(edit or "")
            if made:
                seen[who].add(len(updates))
                updates.append(made)
        expected = value_in_yjs(yjs, updates)
        for node, known in zip(nodes, seen, strict=False):
            hear(node, known, updates, len(updates))
            assert node.value() == expected, number
