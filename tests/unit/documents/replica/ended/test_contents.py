"""What is kept of deleted documents: for how long, how much, and where."""

from __future__ import annotations

import random

import pytest

from peatnode.documents.json.diff import plan
from peatnode.documents.json.root_maps import NO_ROOT_MAPS, change
from peatnode.documents.json.value import Shape, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica import keyspace
from peatnode.documents.replica.apply_update import whole_value
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.ended.entries import state_key
from peatnode.documents.replica.keyspace import ENDED, ENDED_STATE, ENDED_TOTALS, SNAPSHOT, after
from peatnode.documents.replica.reads import document_update
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put

KEY = document_key("c", "one")
LONG = "x" * 20_000


class Store:
    """A replica that keeps what ends, and the clocks that it goes by."""

    def __init__(
        self,
        kv: MemoryKeyValue | None = None,
        seconds: float = 100.0,
        room: int = 1 << 20,
        unix: float = 5000.0,
        client: int = 1,
    ) -> None:
        self.kv = kv or MemoryKeyValue()
        self.unix, self.steady = unix, 0.0
        self.replica = Replica(self.kv, client)
        self.ended = EndedContents(
            self.replica, EndedBounds(seconds, room), lambda: self.unix, lambda: self.steady
        )

    def put(self, value: dict, key: bytes = KEY) -> None:
        put(self.replica, key, value)
        commit(self.replica)

    def put_large(self, key: bytes = KEY) -> bytes:
        """A document whose snapshot has an entry of its own; returns its state."""
        client = self.replica.client_of(self.replica.next_incarnation(key))
        update = change(NO_ROOT_MAPS, plan(Shape(), {"text": LONG}), client, 0)
        self.replica.write(key, update, dump({"text": LONG}))
        commit(self.replica)
        assert SNAPSHOT + key in self.kv.entries
        return encode_update(update)

    def delete(self, key: bytes = KEY) -> None:
        self.replica.delete(key)
        commit(self.replica)

    def undelete(self, key: bytes = KEY, incarnation: int = 0) -> None:
        head = self.ended.find(key, incarnation)
        assert head is not None
        parts = self.ended.parts(head)
        assert parts is not None
        update = compact(merge_updates(parts))
        value = self.ended.value(head)
        self.ended.remove(key, head.sequence)
        self.replica.undelete(key, update, encode_update(update), value)
        commit(self.replica)

    def remove_due(self) -> list[bytes]:
        due = self.ended.due()
        for key, sequence in due:
            self.ended.remove(key, sequence)
        commit(self.replica)
        return [key for key, _ in due]

    def value(self, key: bytes = KEY) -> bytes | None:
        record = self.replica.live(key)
        return None if record is None else whole_value(self.replica.merged(key, record))

    def kept(self) -> list[tuple[bytes, int]]:
        return [(head.key, head.incarnation) for head in self.ended.listed("c")]

    def check(self) -> None:
        heads = [head for name in self.ended.collections() for head in self.ended.listed(name)]
        assert (self.ended.count, self.ended.bytes) == (len(heads), sum(h.size for h in heads))
        states = {entry for entry, _ in self.kv.scan(ENDED_STATE, after(ENDED_STATE))}
        assert states == {state_key(head.key, head.sequence) for head in heads}
        assert all(self.ended.parts(head) for head in heads)


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_deleted_document_comes_back_as_it_was(store: Store) -> None:
    store.put({"a": 1, "list": [1, 2]})
    store.put({"a": 2, "list": [1, 2, 3]})
    before = store.value()
    store.delete()
    assert store.value() is None
    store.check()
    store.undelete()
    assert store.value() == before
    assert store.kept() == []
    store.check()


def test_who_when_and_how_much(store: Store) -> None:
    store.put({"a": 1})
    record = store.replica.live(KEY)
    assert record is not None
    store.replica.join(DocumentUpdate("c", "one", 1, True, 0.0, b""), "peer-instance")
    commit(store.replica)
    head = store.ended.find(KEY)
    assert head is not None
    assert (head.incarnation, head.at, head.origin) == (1, 5000.0, "peer-instance")
    assert head.size == store.ended.bytes > record.snapshot_bytes


def test_a_large_snapshot_stays_where_it_is(store: Store) -> None:
    state = store.put_large()
    stored = store.kv.entries[SNAPSHOT + KEY]
    store.delete()
    assert store.kv.entries[SNAPSHOT + KEY] is stored, "the deletion did not write it again"
    entries = [e for e in store.kv.entries if e[:1] in (ENDED, ENDED_STATE)]
    assert sum(len(store.kv.entries[e]) for e in entries) < 500
    head = store.ended.find(KEY)
    assert head is not None
    assert store.ended.parts(head) == (state,)
    store.undelete()
    assert LONG.encode() in (store.value() or b"")
    store.check()


def test_a_peer_gets_the_tombstone_of_a_large_document_alone(store: Store) -> None:
    store.put_large()
    store.delete()
    record = store.replica.record(KEY)
    assert record is not None
    assert record.is_deleted
    sent = document_update(store.replica, KEY, record)
    assert sent.is_deleted
    assert len(sent.update) < 20


@pytest.mark.parametrize("after_it", ["small", "large", "tombstone", "removal"])
def test_a_snapshot_that_stays_moves_before_its_place_is_taken(store: Store, after_it: str) -> None:
    state = store.put_large()
    store.delete()
    match after_it:
        case "small":
            store.put({"a": 1})
            assert SNAPSHOT + KEY not in store.kv.entries
        case "large":
            store.put_large()
        case "tombstone":
            store.replica.join(DocumentUpdate("c", "one", 7, True, 0.0, b""), "peer")
            commit(store.replica)
            assert SNAPSHOT + KEY not in store.kv.entries
        case "removal":
            store.steady = 101.0
            assert store.remove_due() == [KEY]
            assert SNAPSHOT + KEY not in store.kv.entries
            assert store.ended.find(KEY) is None
            return
    head = store.ended.find(KEY)
    assert head is not None
    assert store.ended.parts(head) == (state,)
    store.check()


def test_what_a_later_incarnation_of_a_peer_replaces_is_kept(store: Store) -> None:
    store.put_large()
    other = Store(client=2)
    other.put({"new": True})
    record = other.replica.live(KEY)
    assert record is not None
    update = other.replica.state(KEY, record)[0]
    joined = store.replica.join(DocumentUpdate("c", "one", 5, False, 0.0, update), "peer")
    assert joined.outcome is Outcome.APPLIED
    commit(store.replica)
    assert store.kept() == [(KEY, 1)]
    store.check()
    store.delete()
    store.undelete(incarnation=1)
    assert LONG.encode() in (store.value() or b"")
    assert store.kept() == [(KEY, 5)]


def test_junk_that_is_deleted_after_the_content_does_not_hide_it(store: Store) -> None:
    store.put({"good": 1})
    store.delete()
    store.put({"junk": 1})
    store.delete()
    assert store.kept() == [(KEY, 1), (KEY, 2)]
    store.undelete(incarnation=1)
    assert store.value() == b'{"good":1}'


def test_deleted_and_undeleted_in_one_batch(store: Store) -> None:
    put(store.replica, KEY, {"a": 1})
    store.replica.delete(KEY)
    store.undelete()
    assert store.value() == b'{"a":1}'
    store.check()


def test_content_goes_after_its_time(store: Store) -> None:
    for number in range(3):
        store.put({"n": number}, document_key("c", str(number)))
        store.delete(document_key("c", str(number)))
        store.steady += 10.0
    assert store.ended.due() == ()
    store.steady = 100.0
    assert store.remove_due() == [document_key("c", "0")]
    assert store.ended.due() == ()
    store.steady = 121.0
    assert store.remove_due() == [document_key("c", "1"), document_key("c", "2")]
    store.check()
    assert store.ended.count == 0


def test_the_oldest_content_makes_room() -> None:
    store = Store(room=2000)
    for number in range(20):
        key = document_key("c", f"{number:02}")
        store.put({"n": number}, key)
        store.delete(key)
        store.remove_due()
        assert store.ended.bytes <= 2000
    store.check()
    kept = [key for key, _ in store.kept()]
    assert kept == [document_key("c", f"{n:02}") for n in range(20 - len(kept), 20)]


def test_what_is_larger_than_the_room_is_not_kept_and_nothing_goes_for_it() -> None:
    store = Store(room=10_000)
    store.put({"a": 1}, document_key("c", "small"))
    store.delete(document_key("c", "small"))
    store.put_large()
    store.delete()
    assert store.kept() == [(document_key("c", "small"), 1)]
    assert SNAPSHOT + KEY not in store.kv.entries


def test_with_zero_seconds_nothing_is_kept_and_what_was_kept_goes() -> None:
    before = Store()
    before.put_large()
    before.delete()
    store = Store(before.kv, seconds=0.0)
    assert store.remove_due() == [KEY]
    assert SNAPSHOT + KEY not in store.kv.entries
    store.put({"a": 1})
    store.delete()
    assert store.ended.count == 0
    assert not [e for e in store.kv.entries if e[:1] in (ENDED, ENDED_STATE)]


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_time_counts_while_the_store_runs_whatever_the_clock_says(jump: float) -> None:
    before = Store()
    before.put({"a": 1})
    before.delete()
    before.steady = 60.0
    before.kv.entries[ENDED_TOTALS] = before.ended.totals()[1]
    store = Store(before.kv, unix=before.unix + jump)
    store.steady = 39.0
    assert store.ended.due() == ()
    store.steady = 41.0
    assert [key for key, _ in store.ended.due()] == [KEY]


def test_a_batch_that_is_dropped_leaves_nothing(store: Store) -> None:
    store.put({"a": 1})
    store.replica.delete(KEY)
    assert store.ended.count == 1
    store.replica.forget()
    store.ended.forget()
    assert store.ended.count == 0
    store.delete()
    store.check()


@pytest.mark.parametrize("loss", [None, b"", b"\x90", b"\xff" * 9])
def test_lost_totals_are_counted_again(store: Store, loss: bytes | None) -> None:
    store.put({"a": 1})
    store.delete()
    del store.kv.entries[ENDED_TOTALS]
    if loss is not None:
        store.kv.entries[ENDED_TOTALS] = loss
    again = Store(store.kv)
    again.check()
    assert again.ended.count == 1


def test_a_random_life_keeps_its_books(rng: random.Random) -> None:
    store = Store(room=60_000, seconds=40.0)
    keys = [document_key("c", str(number)) for number in range(4)]
    for _ in range(150):
        key = rng.choice(keys)
        record = store.replica.live(key)
        if record is None and store.ended.find(key) is not None and rng.random() < 0.4:
            store.undelete(key)
        elif record is None:
            store.put_large(key) if rng.random() < 0.4 else store.put({"n": rng.random()}, key)
        elif rng.random() < 0.7:
            store.delete(key)
        else:
            store.replica.join(
                DocumentUpdate("c", key[2:].decode(), record.incarnation + 1, True, 0.0, b""), "p"
            )
            commit(store.replica)
        store.steady += rng.choice([0.0, 1.0, 5.0])
        if rng.random() < 0.3:
            store.remove_due()
        if rng.random() < 0.1:
            steady, ran = store.steady, store.ended.ran
            store.kv.entries[ENDED_TOTALS] = store.ended.totals()[1]
            store = Store(store.kv, store.ended.bounds.seconds, 60_000)
            assert store.ended.ran == pytest.approx(ran)
            assert steady >= 0.0
        store.check()


def test_each_kind_of_entry_has_a_letter_of_its_own() -> None:
    letters = [
        value for name, value in vars(keyspace).items() if name.isupper() and len(value) == 1
    ]
    assert len(letters) > 12
    assert len(letters) == len(set(letters))
