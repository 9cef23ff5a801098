import random

import pytest

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape
from peatnode.documents.names import document_key, names_of
from peatnode.documents.replica.keyspace import FEED, after
from peatnode.documents.replica.reads import (
    bucket_entries,
    document_update,
    documents_of,
    feed_after,
    missing_update,
    wanted_of,
)
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.state_vector import encode_state_vector
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put
from tests.support.yjs_histories import Writers

KEY = document_key("c", "one")


def new_replica(client: int = 1) -> Replica:
    return Replica(MemoryKeyValue(), client)


def arrival(replica: Replica, key: bytes) -> DocumentUpdate:
    record = replica.record_on_disk(key)
    assert record is not None
    return document_update(replica, key, record)


def value(replica: Replica, key: bytes = KEY) -> bytes:
    record = replica.live(key)
    assert record is not None
    return replica.value(key, record)


def check_index(replica: Replica) -> None:
    """What is in memory is what a new start would find."""
    again = Replica(replica.kv, replica.client)
    assert again.tree.root == replica.tree.root
    assert again.sequence == replica.sequence
    assert again.counts == replica.counts
    assert replica.staged_documents == replica.counts.documents


def test_a_write_is_seen_by_the_next_of_its_group_and_by_nobody_else_before_its_commit():
    replica = new_replica()
    put(replica, KEY, {"a": 1})
    put(replica, KEY, {"a": 1, "b": 2})
    assert value(replica) == b'{"a":1,"b":2}'
    assert replica.record_on_disk(KEY) is None
    assert replica.sequence == 0
    commit(replica)
    assert replica.record_on_disk(KEY) is not None
    assert [entry.action for _, entry in feed_after(replica, 0)] == ["created", "updated"]
    check_index(replica)


def test_a_forgotten_group_never_was():
    replica = new_replica()
    put(replica, KEY, {"a": 1})
    commit(replica)
    root = replica.tree.root
    put(replica, KEY, {"a": 2})
    replica.take_batch()
    put(replica, KEY, {"a": 3})
    replica.forget()
    assert value(replica) == b'{"a":1}'
    put(replica, KEY, {"a": 4})
    commit(replica)
    assert replica.sequence == 2
    assert replica.tree.root != root
    check_index(replica)


def test_a_later_group_builds_on_one_that_is_being_written():
    replica = new_replica()
    put(replica, KEY, {"a": "x" * 10_000})
    first = replica.take_batch()
    put(replica, KEY, {"a": "x" * 10_000, "b": 1})
    second = replica.take_batch()
    for batch in (first, second):
        replica.kv.write(batch)
        replica.committed(batch)
    assert b'"b":1' in value(replica)
    check_index(replica)


def test_a_tombstone_beats_every_edit_of_its_incarnation():
    here, there = new_replica(1), new_replica(2)
    put(here, KEY, {"a": 1})
    commit(here)
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.APPLIED
    put(there, KEY, {"a": 2})
    commit(there)
    here.delete(KEY)
    commit(here)
    late = arrival(there, KEY)
    assert here.join(late, "p").outcome is Outcome.STALE
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.APPLIED
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.KNOWN
    commit(there)
    assert here.tree.root == there.tree.root
    put(there, KEY, {"b": 1})
    commit(there)
    assert here.join(arrival(there, KEY), "p").outcome is Outcome.APPLIED
    commit(here)
    assert value(here) == b'{"b":1}'
    assert here.live(KEY).incarnation == 2
    assert here.tree.root == there.tree.root
    assert list(documents_of(here, "c", "", "")) != []
    check_index(here)


def test_an_empty_document_exists_elsewhere_too():
    here, there = new_replica(1), new_replica(2)
    put(here, KEY, {})
    commit(here)
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.APPLIED
    commit(there)
    assert value(there) == b"{}"
    assert here.tree.root == there.tree.root


def test_a_gap_is_not_applied():
    here, there = new_replica(1), new_replica(2)
    put(here, KEY, {"a": 1})
    commit(here)
    put(here, KEY, {"a": 2})
    change = commit(here).changes[0]
    gap = DocumentUpdate("c", "one", 1, False, 0.0, change.update)
    assert there.join(gap, "p").outcome is Outcome.GAP
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.APPLIED
    assert there.join(gap, "p").outcome is Outcome.KNOWN


@pytest.mark.parametrize(
    "bad",
    [
        DocumentUpdate("c", "one", 1, False, 0.0, b"\xff\xff"),
        DocumentUpdate("c", "one", 0, False, 0.0, b"\0\0"),
        DocumentUpdate("c", "one", 2**60, True, 0.0, b""),
        DocumentUpdate("../c", "one", 1, False, 0.0, b"\0\0"),
        DocumentUpdate("c", "a/b", 1, False, 0.0, b"\0\0"),
        DocumentUpdate("c", "", 1, True, 0.0, b""),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(bad):
    replica = new_replica()
    joined = replica.join(bad, "p")
    assert joined.outcome is Outcome.REFUSED
    assert joined.reason
    assert replica.open_batch.is_empty


def test_structs_of_our_own_client_that_we_never_wrote_are_noticed():
    here, copy = new_replica(1), new_replica(1)
    put(copy, KEY, {"a": 1})
    commit(copy)
    assert not here.is_client_id_taken
    here.join(arrival(copy, KEY), "p")
    assert here.is_client_id_taken


def test_a_state_vector_beyond_our_own_clock_is_noticed():
    here, copy = new_replica(1), new_replica(1)
    for replica in (here, copy):
        put(replica, KEY, {"a": 1})
        commit(replica)
    put(copy, KEY, {"a": 2})
    commit(copy)
    beyond = copy.record_on_disk(KEY)
    assert beyond is not None
    missing_update(here, KEY, 1, encode_state_vector(beyond.state_vector))
    assert here.is_client_id_taken


def test_large_states_and_values_lie_apart_and_come_back():
    replica = new_replica()
    big = {"text": "y" * 9_000}
    put(replica, KEY, big)
    commit(replica)
    assert replica.kv.get(b"s" + KEY) is not None
    assert replica.kv.get(b"v" + KEY) is not None
    put(replica, KEY, {"text": "short"})
    commit(replica)
    assert value(replica) == b'{"text":"short"}'
    replica.compact(KEY)
    commit(replica)
    assert replica.kv.get(b"s" + KEY) is None
    assert replica.kv.get(b"v" + KEY) is None
    assert value(Replica(replica.kv, 1)) == b'{"text":"short"}'


def test_compaction_changes_no_fingerprint():
    replica = new_replica()
    for n in range(300):
        put(replica, KEY, {"a": n, "b": str(n % 7)})
        commit(replica)
    before = replica.live(KEY)
    root = replica.tree.root
    replica.compact(KEY)
    commit(replica)
    after_it = replica.live(KEY)
    assert after_it.delta_log == ()
    assert after_it.fingerprint == before.fingerprint
    assert replica.tree.root == root
    assert value(Replica(replica.kv, 1)) == b'{"a":299,"b":"5"}'


def test_an_expiry_travels_with_the_document():
    here, there = new_replica(1), new_replica(2)
    update = root_maps.change(
        root_maps.NO_ROOT_MAPS, plan(Shape(), {"a": 1}), 1, 0, expires_at=1234.5
    )
    here.write(KEY, update, b'{"a":1}')
    commit(here)
    there.join(arrival(here, KEY), "p")
    commit(there)
    assert there.live(KEY).expires_at == here.live(KEY).expires_at == 1234.5
    assert value(there) == b'{"a":1}'
    assert [k for k, _ in there.kv.scan(b"x", b"y")] == [k for k, _ in here.kv.scan(b"x", b"y")]
    there.delete(KEY)
    commit(there)
    assert not list(there.kv.scan(b"x", b"y"))


def test_a_foreign_root_makes_no_value_and_needs_no_engine():
    rng = random.Random(3)  # fixed: the first delta of this history has XML in it
    history = Writers(rng, writers=4, steps=18, flat=False)
    replica = new_replica()
    update = Update(
        {
            c: [s for s in structs if s.parent == "xml"]
            for c, structs in decode_update(history.deltas[0]).structs.items()
        },
        EMPTY_DELETE_SET,
    )
    kept = {c: structs for c, structs in update.structs.items() if structs and not structs[0].clock}
    replica.join(DocumentUpdate("c", "one", 1, False, 0.0, encode_update(Update(kept))), "client")
    assert value(replica) == b"{}"
    assert not replica.live(KEY).is_value_outdated


def _step(rng: random.Random, replica: Replica, keys: list[bytes]) -> None:
    key = rng.choice(keys)
    if rng.random() < 0.2:
        if replica.live(key) is not None:
            replica.delete(key)
    else:
        picked = rng.sample(["a", "b", "c", "d"], rng.randrange(4))
        put(replica, key, {name: rng.choice([1, "x", {"y": rng.randrange(3)}]) for name in picked})


@pytest.mark.parametrize("rng", range(60), indirect=True)
def test_replicas_converge_whatever_the_order(rng):
    replicas = [new_replica(client) for client in (11, 12, 13)]
    keys = [document_key("c", name) for name in ("one", "two")]
    for _ in range(60):
        replica = rng.choice(replicas)
        if rng.random() < 0.5:
            _step(rng, replica, keys)
        else:
            source, key = rng.choice(replicas), rng.choice(keys)
            if source.record_on_disk(key) is not None:
                replica.join(arrival(source, key), "p")
        if rng.random() < 0.1:
            replica.forget()
        if rng.random() < 0.6:
            commit(replica)
    for replica in replicas:
        commit(replica)
    changes = [
        arrival(replica, key)
        for replica in replicas
        for key in keys
        if replica.record_on_disk(key) is not None
    ]
    for replica in replicas:
        for change in rng.sample(changes * 2, len(changes) * 2):
            assert replica.join(change, "p").outcome is not Outcome.GAP
            if rng.random() < 0.5:
                commit(replica)
        commit(replica)
        check_index(replica)
    assert len({replica.tree.root for replica in replicas}) == 1
    for key in keys:
        values = {value(r, key) if r.live(key) else None for r in replicas}
        assert len(values) == 1
        # and what they show is what a whole reading shows
        record = replicas[0].live(key)
        if record is not None:
            fresh = new_replica(99)
            fresh.join(arrival(replicas[0], key), "p")
            assert value(fresh, key) in values


def test_differences_bring_exactly_what_lacks():
    here, there = new_replica(1), new_replica(2)
    for n in range(5):
        put(here, KEY, {"a": n, "z": "x" * 100})
        commit(here)
        incarnation, vector = wanted_of(there, KEY)
        sent = missing_update(here, KEY, incarnation, vector)
        assert sent is not None
        if n:
            assert len(sent.update) < 60
        there.join(DocumentUpdate("c", "one", sent.incarnation, False, 0.0, sent.update), "p")
        commit(there)
    assert missing_update(here, KEY, 2, b"") is None
    assert here.tree.root == there.tree.root


def test_buckets_are_walked_in_order_and_from_any_place():
    replica = new_replica()
    for n in range(50):
        put(replica, document_key("c", f"d{n}"), {"n": n})
    commit(replica)
    whole = [entry.tree_key for entry in bucket_entries(replica, 0, 0xFFFF, b"")]
    assert len(whole) == 50
    assert whole == sorted(whole)
    assert [e.tree_key for e in bucket_entries(replica, 0, 0xFFFF, whole[20])] == whole[20:]
    half = [e.tree_key for e in bucket_entries(replica, 0, 0x7FFF, b"")]
    assert whole == half + [e.tree_key for e in bucket_entries(replica, 0x8000, 0xFFFF, b"")]


def test_listing_by_prefix_and_cursor():
    replica = new_replica()
    for name in ("a1", "a2", "b1", "ż", "zz"):
        put(replica, document_key("c", name), {})
    put(replica, document_key("d", "a3"), {})
    commit(replica)

    def names(after_id: str = "", prefix: str = "") -> list[str]:
        return [names_of(key)[1] for key, _ in documents_of(replica, "c", after_id, prefix)]

    assert names() == ["a1", "a2", "b1", "zz", "ż"]
    assert names("a1") == ["a2", "b1", "zz", "ż"]
    assert names(prefix="a") == ["a1", "a2"]
    assert names("a1", "a") == ["a2"]
    assert not list(replica.kv.scan(FEED + b"\xff", after(FEED)))


def test_a_document_remembers_what_has_ended():
    """A Yjs client that was away during a deletion is distinguished from a client of the new document."""
    here, there = new_replica(1), new_replica(2)
    put(here, KEY, {"a": 1})
    here.delete(KEY)
    put(here, KEY, {"b": 1})
    commit(here)
    followed = here.record_on_disk(KEY)
    assert dict(followed.ended_vector) == {1: 1}
    assert here.client_of(1) == 1
    assert here.client_of(2) in followed.state_vector
    assert here.client_of(2) != 1
    here.delete(KEY)
    commit(here)
    tombstone = here.record_on_disk(KEY)
    assert dict(tombstone.ended_vector) == {1: 1, here.client_of(2): 1}
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.APPLIED
    commit(there)
    assert dict(there.record_on_disk(KEY).ended_vector) == dict(tombstone.ended_vector)
    assert there.tree.root == here.tree.root
    malformed = DocumentUpdate("c", "two", 1, True, 0.0, b"\xff")
    assert there.join(malformed, "p").outcome is Outcome.REFUSED


def test_a_higher_incarnation_ends_the_one_before_it():
    here, there = new_replica(1), new_replica(2)
    put(there, KEY, {"a": 1})
    commit(there)
    put(here, KEY, {"a": 1})
    here.delete(KEY)
    put(here, KEY, {"b": 1})
    commit(here)
    assert there.join(arrival(here, KEY), "p").outcome is Outcome.APPLIED
    commit(there)
    assert dict(there.record_on_disk(KEY).ended_vector) == {1: 1, 2: 1}


def test_two_items_without_an_origin_in_two_updates_do_not_end_the_store() -> None:
    """A client sets a key twice as if it had seen nothing: each update is right, their union has to be readable."""
    replica, key = new_replica(), document_key("c", "i")
    for clock in range(2):
        update = root_maps.change(
            root_maps.NO_ROOT_MAPS, plan(root_maps.NO_ROOT_MAPS.shape(), {"k": clock}), 7, clock
        )
        assert update is not None
        sent = DocumentUpdate("c", "i", 1, False, 0.0, encode_update(update))
        assert replica.join(sent, "client:1").outcome is Outcome.APPLIED
    replica.compact(key)
    record = replica.live(key)
    assert record is not None
    assert replica.merged(key, record).state_vector() == {7: 2}


def test_documents_are_counted_before_they_are_on_disk() -> None:
    replica = new_replica()
    other = document_key("c", "two")
    put(replica, KEY, {"a": 1})
    put(replica, other, {"a": 1})
    put(replica, KEY, {"a": 2})
    assert (replica.staged_documents, replica.counts.documents) == (2, 0)
    commit(replica)
    replica.delete(KEY)
    assert (replica.staged_documents, replica.counts.documents) == (1, 2)
    replica.forget()
    assert replica.staged_documents == 2
    check_index(replica)
    replica.delete(KEY)
    put(replica, KEY, {"b": 1})
    commit(replica)
    check_index(replica)
