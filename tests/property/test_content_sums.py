"""Content sums of random documents: equal for equal documents, however they are stored, and else different."""

from __future__ import annotations

import random
from typing import Any

import pytest

from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import UnitSums, unkeyed_sums
from peatnode.documents.names import document_key
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.merge import diff_update, merge_updates
from peatnode.documents.yjs.structs import ANY, DELETED, GC, STRING, TYPE, Struct
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put
from tests.support.yjs_histories import Writers, random_history

BATCHES = range(4)
HISTORIES = 60
"""A batch."""
SUMS = UnitSums(b"key")


def of(*updates: bytes | Update) -> int:
    return state_sum(SUMS, merge_updates(updates))


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_no_way_to_store_a_document_changes_its_sum(rng: random.Random) -> None:
    for _ in range(HISTORIES):
        deltas = random_history(rng).deltas
        whole = merge_updates(deltas)
        expected = of(whole)
        shuffled = [*deltas, *rng.choices(deltas, k=3)]
        rng.shuffle(shuffled)
        assert of(*shuffled) == expected
        assert of(compact(whole)) == expected
        assert of(encode_update(whole)) == expected
        at = _place_for_a_cut(rng, whole)
        below = Update(_below(whole, at), whole.delete_set)
        assert of(below, diff_update(whole, at)) == expected
        assert of(below, compact(merge_updates((below, diff_update(whole, at))))) == expected


def _place_for_a_cut(rng: random.Random, whole: Update) -> dict[int, int]:
    """A random state vector."""
    return {client: rng.randrange(end + 1) for client, end in whole.state_vector().items()}


def _below(whole: Update, at: dict[int, int]) -> dict[int, list[Struct]]:
    """Whole structs that begin below a state vector, so that its cuts have an overlap to be found in."""
    found = {c: [s for s in structs if s.clock < at[c]] for c, structs in whole.structs.items()}
    return {client: structs for client, structs in found.items() if structs}


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_an_engine_that_encodes_a_document_again_does_not_change_its_sum(
    rng: random.Random,
) -> None:
    compared = 0
    for _ in range(HISTORIES):
        history = random_history(rng)
        whole = merge_updates(history.deltas)
        again = decode_update(_replayed(history).get_update())
        # An engine deletes what concurrent writers have overwritten, and that is a change.
        if again.delete_set == whole.delete_set:
            assert of(again) == of(whole)
            compared += 1
        assert of(again, whole) == state_sum(SUMS, Update(whole.structs, again.delete_set))
    assert compared


def _replayed(history: Writers) -> Any:
    return history.replay(*history.deltas)


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_every_change_changes_the_sum(rng: random.Random) -> None:
    for _ in range(HISTORIES):
        whole = merge_updates(random_history(rng).deltas)
        before = of(whole)
        changed = _changed(rng, whole)
        assert state_sum(SUMS, changed) != before


def _changed(rng: random.Random, whole: Update) -> Update:
    """The document with one deletion more, or with one struct in another place or of another content."""
    client = rng.choice(list(whole.structs))
    structs = list(whole.structs[client])
    live = [
        at
        for at, s in enumerate(structs)
        if s.kind not in (GC, DELETED)
        and not any(whole.delete_set.contains(client, clock) for clock in range(s.clock, s.end))
    ]
    if not live:
        first = structs[0]
        return Update({**whole.structs, 2**40 + client: [_fresh(first)]}, whole.delete_set)
    at = rng.choice(live)
    struct = structs[at]
    match rng.randrange(3):
        case 0:
            ended = (client, struct.clock, struct.clock + 1)
            return Update(whole.structs, DeleteSet.from_ranges((*whole.delete_set, ended)))
        case 1:
            structs[at] = _elsewhere(struct)
        case _:
            structs[at] = _with_another_content(struct)
    return Update({**whole.structs, client: structs}, whole.delete_set)


def _fresh(struct: Struct) -> Struct:
    return Struct(ANY, struct.clock, 1, None, None, "root", "/new", b"\x28\1\4root\4/new\1\x78", 12)


def _elsewhere(struct: Struct) -> Struct:
    raw = b"\xc0\x7f\x7f\x7f\x7e" + struct.raw[struct.content_at :]
    return struct._replace(
        origin=(127, 127), right_origin=(127, 126), parent=None, key=None, raw=raw, content_at=5
    )


def _with_another_content(struct: Struct) -> Struct:
    if struct.kind == STRING:
        head, units = struct.raw[: struct.content_at], b"\x01" * struct.length
        return struct._replace(raw=head + bytes((len(units),)) + units)
    kind = TYPE if struct.kind != TYPE else ANY
    content = b"\1" if kind == TYPE else b"\1\x7f"
    return struct._replace(kind=kind, length=1, raw=struct.raw[: struct.content_at] + content)


# --- records


COLLECTION, DOCUMENT = "c", "d"
KEY = document_key(COLLECTION, DOCUMENT)


@pytest.mark.parametrize("rng", BATCHES, indirect=True)
def test_the_sum_of_a_record_is_that_of_its_state_after_any_history(rng: random.Random) -> None:
    """Updates in any causal order, whole and in parts, twice, in batches of any size, some of which are dropped."""
    for _ in range(HISTORIES // 2):
        history = random_history(rng, flat=rng.random() < 0.5)
        replica = Replica(MemoryKeyValue(), 1)
        for update in _heard(rng, history.deltas):
            _join(replica, update)
            _change(rng, replica)
            _check_record(replica)
        assert replica.live(KEY) is not None


def _heard(rng: random.Random, deltas: list[bytes]) -> list[bytes]:
    heard: list[bytes] = []
    at = 0
    while at < len(deltas):
        size = rng.choice((1, 1, 2, 5))
        heard.append(encode_update(merge_updates(deltas[at : at + size])))
        at += rng.randint(1, size)
        if rng.random() < 0.1:
            heard.append(encode_update(merge_updates(deltas[:at])))
    return [*heard, encode_update(merge_updates(deltas))]


def _join(replica: Replica, update: bytes) -> None:
    """What depends on a change that was dropped is refused, until the whole document is heard."""
    result = replica.join(DocumentUpdate(COLLECTION, DOCUMENT, 1, False, 0.0, update), "peer")
    assert result.outcome in (Outcome.APPLIED, Outcome.KNOWN, Outcome.GAP), result


def _change(rng: random.Random, replica: Replica) -> None:
    """Whatever else may happen to a document between two updates."""
    record = replica.live(KEY)
    if record is None:
        return
    match rng.randrange(6):
        case 0:
            commit(replica)
        case 1:
            replica.compact(KEY)
        case 2 if replica.maps(KEY, record) is not None:
            put(
                replica,
                KEY,
                {"own": rng.randrange(9), "list": [rng.randrange(9), 1, 2][: rng.randrange(4)]},
            )
        case 3 if replica.sequence:
            replica.forget()
        case _:
            pass


def _check_record(replica: Replica) -> None:
    record = replica.live(KEY)
    if record is not None:
        assert record.content_sum == state_sum(unkeyed_sums(), replica.merged(KEY, record))
