"""Mutated updates: whatever the bytes, one exception, bounded time and memory."""

import contextlib
import random
import tracemalloc
from typing import Any

import pytest

from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import diff_update, merge_updates
from peatnode.documents.yjs.projection import project
from peatnode.documents.yjs.state_vector import decode_state_vector
from peatnode.documents.yjs.update import decode_update, encode_update
from peatnode.errors import MalformedUpdate
from tests.support.yjs_histories import random_history

BATCHES = range(8)
MUTANTS = 15_000
"""A batch."""


def mutate(rng: random.Random, raw: bytes, other: bytes) -> bytes:
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] = rng.randrange(256)
            case 1 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                data[at:at] = rng.randbytes(rng.randrange(1, 6))
            case 3:
                del data[at : at + rng.randrange(1, 6)]
            case 4:
                data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.randrange(20)]
            case 5:
                data[at:at] = rng.choice(
                    (b"\xff" * 4 + b"\x0f", b"\x80" * 9, b"\xff" * 8, b"\x75\1" * 70)
                )
            case _:
                start = rng.randrange(len(other))
                data[at : at + 10] = other[start : start + 10]
    return bytes(data)


def corpus(rng: random.Random) -> list[bytes]:
    """Valid updates, each below 600 bytes."""
    found = [b"\0\0"]
    for _ in range(20):
        deltas = random_history(rng).deltas
        found += [d for d in (*deltas, encode_update(merge_updates(deltas))) if len(d) < 600]
    return found


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_mutants_raise_one_exception_or_mean_something(rng: random.Random) -> None:
    raws = corpus(rng)
    taken = 0
    for _ in range(MUTANTS):
        mutant = mutate(rng, rng.choice(raws), rng.choice(raws))
        try:
            update = decode_update(mutant)
        except MalformedUpdate:
            continue
        taken += 1
        _check(rng, update, mutant)
    assert taken > MUTANTS // 100


def _check(rng: random.Random, update: Any, mutant: bytes) -> None:
    """Every operation works on whatever was taken."""
    encoded = encode_update(update)
    assert decode_update(encoded) == update, mutant.hex()
    sv = update.state_vector()
    small = compact(update)
    assert small.state_vector() == sv, mutant.hex()
    assert decode_update(encode_update(small)) == small, mutant.hex()
    part = project(update, lambda name: name == "root", flatten=True)
    assert part.state_vector() == sv, mutant.hex()
    cut = {client: rng.randrange(end + 1) for client, end in sv.items()}
    rest = diff_update(update, cut)
    assert merge_updates([update, rest]).state_vector() == sv, mutant.hex()
    for one in (update, small, part, rest):
        missing_for(one, cut)


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_mutated_state_vectors_raise_one_exception(rng: random.Random) -> None:
    for _ in range(2000):
        raw = rng.randbytes(rng.randrange(12))
        with contextlib.suppress(MalformedUpdate):
            assert all(decode_state_vector(raw).values())


def test_refusing_keeps_no_memory(rng: random.Random) -> None:
    raws = corpus(rng)
    mutants = [mutate(rng, rng.choice(raws), rng.choice(raws)) for _ in range(3000)]

    def run() -> None:
        for mutant in mutants:
            with contextlib.suppress(MalformedUpdate):
                decode_update(mutant)

    run()
    tracemalloc.start()
    try:
        run()
        before = tracemalloc.get_traced_memory()[0]
        run()
        run()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept - before < 50_000
    assert peak < 5_000_000
