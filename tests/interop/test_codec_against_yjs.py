"""The codec against the reference implementation, on random histories of all kinds of root types."""

import json
import random
from base64 import b64decode, b64encode
from typing import Any

import pytest

from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.merge import diff_update, merge_updates, subtract_known
from peatnode.documents.yjs.projection import project, root_names
from peatnode.documents.yjs.state_vector import decode_state_vector, encode_state_vector
from peatnode.documents.yjs.update import Update, decode_update, encode_update

BATCH = 125
BATCHES = range(6)


def text(update: Update) -> str:
    return b64encode(encode_update(update)).decode()


def meaning(update: Update) -> Any:
    """All but the flag that an item with an origin has a key: nothing reads it, and Yjs drops it now and then."""
    structs = {
        client: [s if s.parent else (s[:7], s.raw[0] & ~0x20, s.raw[1:]) for s in known]
        for client, known in update.structs.items()
    }
    return structs, update.delete_set


@pytest.fixture
def histories(yjs: Any, rng: random.Random) -> Any:
    """Pairs of a seed of `yjs_bridge.mjs` and its history."""
    return (
        (seed, yjs.ask("history", seed=seed, steps=20 + seed % 60, writers=1 + seed % 4, gc=gc))
        for seed in (rng.randrange(2**31) for _ in range(BATCH))
        for gc in [seed % 5 != 0]
    )


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_decoded_and_encoded_again_an_update_is_the_same(yjs: Any, histories: Any) -> None:
    for seed, history in histories:
        for delta in history["deltas"]:
            raw = b64decode(delta)
            again = encode_update(decode_update(raw))
            assert decode_update(again) == decode_update(raw), seed
        again = [text(decode_update(b64decode(delta))) for delta in history["deltas"]]
        assert yjs.ask("view", updates=again)["view"] == history["whole"]["view"], seed


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_merged_in_any_order_means_what_yjs_merges(
    yjs: Any, histories: Any, rng: random.Random
) -> None:
    for seed, history in histories:
        deltas = [b64decode(delta) for delta in history["deltas"]]
        rng.shuffle(deltas)
        merged = merge_updates([*deltas, b64decode(history["partial"]["state"])])
        theirs = decode_update(b64decode(history["merged"]))
        assert merged.state_vector() == theirs.state_vector(), seed
        assert encode_state_vector(merged.state_vector()) == b64decode(history["whole"]["sv"]), seed
        assert encode_state_vector(theirs.state_vector()) == b64decode(history["mergedSv"]), seed
        assert missing_for(merged, {}) is None, seed
        again = yjs.ask("view", updates=[text(merged)])
        assert again["view"] == yjs.ask("view", updates=[history["merged"]])["view"], seed
        assert not again["pending"], seed
        assert encode_state_vector(decode_state_vector(b64decode(again["sv"]))) == b64decode(
            history["whole"]["sv"]
        )


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_difference_brings_a_partial_replica_to_the_whole(yjs: Any, histories: Any) -> None:
    for seed, history in histories:
        partial = decode_update(b64decode(history["partial"]["state"]))
        sv = decode_state_vector(b64decode(history["partial"]["sv"]))
        assert partial.state_vector() == sv, seed
        whole = merge_updates([b64decode(delta) for delta in history["deltas"]])
        diff = diff_update(whole, sv)
        theirs = decode_update(b64decode(history["diff"]))
        assert diff.first_clocks() == theirs.first_clocks(), seed
        assert diff.state_vector() == theirs.state_vector(), seed
        assert diff.delete_set == whole.delete_set, seed
        assert missing_for(diff, sv) is None, seed
        news = subtract_known(whole, sv, partial.delete_set)
        state = history["partial"]["state"]
        expected = yjs.ask("view", updates=[state, history["diff"]])["view"]
        for part in (diff, news):
            seen = yjs.ask("view", updates=[state, text(part)])
            assert seen["view"] == expected, seed
            assert not seen["pending"], seed


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_difference_cut_at_any_clock_is_that_of_yjs(
    yjs: Any, histories: Any, rng: random.Random
) -> None:
    for seed, history in histories:
        whole = decode_update(b64decode(history["whole"]["state"]))
        sv = {client: rng.randrange(end + 1) for client, end in whole.state_vector().items()}
        request = {"update": text(whole), "sv": b64encode(encode_state_vector(sv)).decode()}
        theirs = b64decode(yjs.ask("diff", **request))
        assert meaning(diff_update(whole, sv)) == meaning(decode_update(theirs)), seed


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_updates_apply_in_causal_order_only(histories: Any, rng: random.Random) -> None:
    for seed, history in histories:
        waiting = [decode_update(b64decode(delta)) for delta in history["deltas"]]
        rng.shuffle(waiting)
        state = Update()
        while waiting:
            ready = next((u for u in waiting if missing_for(u, state.state_vector()) is None), None)
            assert ready is not None, seed
            waiting.remove(ready)
            state = merge_updates([state, ready])
            assert missing_for(state, {}) is None, seed
        assert encode_state_vector(state.state_vector()) == b64decode(history["whole"]["sv"]), seed


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_compaction_changes_nothing_that_can_be_seen(
    yjs: Any, histories: Any, rng: random.Random
) -> None:
    for seed, history in histories:
        deltas = [decode_update(b64decode(delta)) for delta in history["deltas"]]
        known = rng.randrange(len(deltas) + 1)
        before = merge_updates(deltas[:known])
        small = compact(before)
        assert small.state_vector() == before.state_vector(), seed
        assert small.delete_set == before.delete_set, seed
        ranges = len(list(before.delete_set))
        assert len(encode_update(small)) <= len(encode_update(before)) + 40 * ranges, seed
        assert encode_update(compact(small)) == encode_update(small), seed
        assert (
            yjs.ask("view", updates=[text(small)])["view"]
            == yjs.ask("view", updates=[text(before)])["view"]
        ), seed
        later = [text(delta) for delta in deltas[known:]]
        seen = yjs.ask("view", updates=[text(small), *later])
        expected = yjs.ask("view", updates=[text(before), *later])
        assert seen["view"] == expected["view"], seed
        assert not seen["pending"], seed
        merged = yjs.ask("view", updates=[text(merge_updates([small, *deltas[known:]]))])
        expected = yjs.ask("view", updates=[history["merged"]])
        assert merged["view"] == expected["view"], seed


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_projection_keeps_the_chosen_roots_and_the_clocks(
    yjs: Any, histories: Any, rng: random.Random
) -> None:
    for seed, history in histories:
        whole = decode_update(b64decode(history["whole"]["state"]))
        expected = json.loads(history["whole"]["view"])
        kept = set(rng.sample(sorted(expected), 2))
        part = project(whole, kept.__contains__)
        assert root_names(part) <= kept, seed
        assert part.state_vector() == whole.state_vector(), seed
        assert missing_for(part, {}) is None, seed
        seen = yjs.ask("view", updates=[text(part)])
        got = json.loads(seen["view"])
        for name, value in expected.items():
            assert got[name] == (value if name in kept else type(value)()), (seed, name)
        assert not seen["pending"], seed
        assert (
            decode_update(encode_update(part)).delete_set != EMPTY_DELETE_SET
            or part.is_empty
            or (part.structs == whole.structs)
        )
