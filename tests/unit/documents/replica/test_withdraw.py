"""Own writes that another writer of this node's ids contradicts: who notices, and what is left without them."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pycrdt
import pytest

from peatnode.documents.json.authors import Before, change_by
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import dump
from peatnode.documents.names import document_key, names_of
from peatnode.documents.replica.apply_update import compacted
from peatnode.documents.replica.reads import document_update, missing_update, wanted_of
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.withdraw import (
    MAX_OWN_WRITES,
    PENDING,
    OwnWrite,
    OwnWrites,
    decode_own_write,
    encode_own_write,
    first_difference,
    without_own_writes,
)
from peatnode.documents.yjs.merge import structs_from
from peatnode.documents.yjs.structs import DELETED, Struct
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put

KEYS = [document_key("c", name) for name in ("one", "two", "three")]
KEY = KEYS[0]
OLD, NEW, PEER = 1000, 2000, 3000


def replica_of(client: int, image: Replica | None = None) -> Replica:
    kv = MemoryKeyValue()
    if image is not None:
        assert isinstance(image.kv, MemoryKeyValue)
        kv.entries = dict(image.kv.entries)
    return Replica(kv, client)


def write(replica: Replica, key: bytes, **changes: object) -> None:
    """Sets keys, and drops those that are None."""
    record = replica.live(key)
    target = json.loads(replica.value(key, record)) if record is not None else {}
    merged = {**target, **changes}
    put(replica, key, {name: value for name, value in merged.items() if value is not None})
    commit(replica)


def pull(into: Replica, source: Replica) -> list[Outcome]:
    """What a round of anti-entropy brings; a document that is being withdrawn is not sent."""
    outcomes = []
    for key in KEYS:
        update = missing_update(source, key, *wanted_of(into, key))
        if update is not None:
            outcomes.append(into.join(update, "peer").outcome)
    if not into.open_batch.is_empty:
        commit(into)
    return outcomes


def write_again(replica: Replica) -> set[bytes]:
    """As the store does for documents that need no engine. Returns the documents that were withdrawn."""
    assert replica.is_client_id_taken
    replica.renew_client(NEW)
    withdrawn = set()
    for key, own in list(replica.own_writes.pending.items()):
        record = replica.live(key)
        assert record is not None
        remaining = replica.remaining(key, record, own)
        if remaining is not None:
            value = json.loads(replica.value(key, record))
            replica.replace_state(key, record, remaining)
            before = replica.staged_sequence
            put(replica, key, value)
            if replica.staged_sequence == before:
                replica.announce(key)
            withdrawn.add(key)
        replica.put(PENDING + key, None)
    commit(replica)
    assert not replica.own_writes.pending
    return withdrawn


def content(replica: Replica) -> dict[bytes, object]:
    found = {}
    for key in KEYS:
        record = replica.record_on_disk(key)
        if record is not None and not record.is_deleted:
            assert not record.is_value_outdated
            found[key] = json.loads(replica.value(key, record))
    return found


def converge(here: Replica, peer: Replica) -> None:
    for _ in range(3):
        pull(here, peer), pull(peer, here)
    assert content(here) == content(peer)
    assert here.tree.root == peer.tree.root
    for replica in (here, peer):
        again = Replica(replica.kv, replica.client)
        assert (again.tree.root, again.sequence) == (replica.tree.root, replica.sequence)


def gone_back(lost: int, **before: object) -> tuple[Replica, Replica]:
    """A replica that went back to its image, and a peer that has the `lost` writes to each document since then."""
    image, peer = replica_of(OLD), replica_of(PEER)
    for key in KEYS:
        write(image, key, base=1, **before)
    here = replica_of(OLD, image)
    for number in range(lost):
        for key in KEYS:
            write(image, key, **{f"lost {number}": number})
    pull(peer, image)
    return here, peer


@pytest.mark.parametrize("more", [0, 1, 2])
def test_nothing_of_either_side_is_lost(more: int):
    """One document is contradicted, so all that was written since is withdrawn, also where no clock tells."""
    here, peer = gone_back(2)
    write(here, KEYS[0], mine=0)
    for number in range(2):
        write(here, KEYS[1], **{f"mine {number}": number})
    for number in range(more):
        write(here, KEYS[1], **{f"more {number}": number})
    assert Outcome.GAP in pull(here, peer)
    assert write_again(here) == {KEYS[0], KEYS[1]}
    converge(here, peer)
    lost = {"base": 1, "lost 0": 0, "lost 1": 1}
    written = {f"more {number}": number for number in range(more)}
    assert content(peer) == {
        KEYS[0]: {**lost, "mine": 0},
        KEYS[1]: {**lost, "mine 0": 0, "mine 1": 1, **written},
        KEYS[2]: lost,
    }


def test_clocks_alone_do_not_tell():
    """The control: without another document that contradicts, nothing is withdrawn. Fingerprints tell."""
    here, peer = gone_back(1)
    write(here, KEY, mine=0)
    for _ in range(3):
        pull(here, peer), pull(peer, here)
    assert here.record_on_disk(KEY).fingerprint != peer.record_on_disk(KEY).fingerprint  # type: ignore[union-attr]
    assert content(here)[KEY] != content(peer)[KEY]


def test_deletions_and_replaced_values_stay():
    here, peer = gone_back(3, dropped=1, replaced=1)
    write(here, KEY, dropped=None, replaced=2, mine=1)
    write(here, KEY, mine=None)
    pull(here, peer)
    write_again(here)
    converge(here, peer)
    found = content(here)[KEY]
    assert isinstance(found, dict)
    assert (found["replaced"], found["base"]) == (2, 1)
    assert {"dropped", "mine"}.isdisjoint(found)


def test_a_second_incarnation_is_written_again_too():
    image, peer = replica_of(OLD), replica_of(PEER)
    write(image, KEY, ended=1)
    image.delete(KEY)
    commit(image)
    here = replica_of(OLD, image)
    write(image, KEY, lost=1, more=1)
    write(here, KEY, mine=1)
    pull(peer, image)
    pull(here, peer)
    assert write_again(here) == {KEY}
    converge(here, peer)
    assert content(peer)[KEY] == {"lost": 1, "more": 1, "mine": 1}


def test_a_document_that_ends_up_as_it_was_is_announced():
    here, peer = gone_back(3)
    write(here, KEY, mine=1)
    write(here, KEY, mine=None)
    pull(here, peer)
    write_again(here)
    converge(here, peer)
    assert content(here)[KEY] == {"base": 1, "lost 0": 0, "lost 1": 1, "lost 2": 2}


def test_the_clocks_of_ended_incarnations_are_kept():
    here, peer = gone_back(2)
    write(here, KEY, mine=1)
    pull(here, peer)
    record = here.live(KEY)
    assert record is not None
    own = OwnWrite(OLD, 1, 1, 0)
    remaining = here.remaining(KEY, replace(record, ended_vector={7: 3}), own)
    assert remaining is not None
    assert (remaining.ended_vector, remaining.state_vector) == ({7: 3}, {OLD: 1})


def test_what_changes_of_others_depend_on_is_kept():
    here, peer = gone_back(2)
    write(here, KEY, mine=1)
    other = replica_of(PEER + 1)
    pull(other, here)
    write(other, KEY, mine=2)
    pull(here, other)
    pull(here, peer)
    assert here.is_contradicted
    assert write_again(here) == set()


def test_a_state_vector_of_a_peer_contradicts_as_well():
    here, peer = gone_back(2)
    write(here, KEYS[1], mine=1)
    missing_update(here, KEYS[2], *wanted_of(peer, KEYS[2]))
    assert here.is_contradicted


def test_the_copy_of_a_document_contradicts_nothing():
    """It has structs of this node under another name, so a new id is needed. What was written stays."""
    here = replica_of(OLD)
    for key in KEYS[:2]:
        write(here, key, base=1)
    update = document_update(here, KEY, here.record_on_disk(KEY))  # type: ignore[arg-type]
    copy = DocumentUpdate(*names_of(KEYS[2]), 1, False, 0.0, update.update)
    assert here.join(copy, "peer").outcome is Outcome.APPLIED
    assert here.is_client_id_taken
    assert not here.is_contradicted
    assert write_again(here) == set()


def test_a_client_does_not_bring_back_what_was_withdrawn():
    here, peer = gone_back(3)
    write(here, KEY, mine=1)
    held = document_update(here, KEY, here.record_on_disk(KEY))  # type: ignore[arg-type]
    pull(here, peer)
    write_again(here)
    assert here.join(held, "client 1").outcome is Outcome.REFUSED


def test_a_peer_that_has_the_same_contradicts_nothing():
    """It has a part of what was written since the start. The whole of it is sent then."""
    here, peer = gone_back(0), replica_of(PEER + 1)
    write(here[0], KEY, mine=1)
    pull(peer, here[0])
    write(here[0], KEY, more=1)
    assert pull(here[0], peer) == [Outcome.KNOWN]
    assert here[0].own_writes.is_confirmed
    converge(here[0], peer)


def test_a_peer_gets_no_doubtful_document_before_it_is_compared():
    """Deletions of the peer's own content would come with it."""
    here, peer = gone_back(2)
    for number in range(4):
        write(here, KEY, mine=number)
    assert pull(peer, here) == []
    pull(here, peer)
    assert write_again(here) == {KEY}
    converge(here, peer)
    assert content(peer)[KEY] == {"base": 1, "lost 0": 0, "lost 1": 1, "mine": 3}


def test_a_peer_that_compares_gets_no_doubtful_structs():
    """It asks for the whole document, and does not say which clocks it has."""
    here, peer = gone_back(1)
    write(here, KEY, mine=1)
    beside = replica_of(PEER + 1)
    pull(beside, peer)
    write(beside, KEY, beside=1)
    pull(here, beside)
    assert here.own_writes.is_unconfirmed(KEY, 1)
    answer = missing_update(here, KEY, 1, b"")
    assert answer is None or OLD not in decode_update(answer.update).structs
    write_again(here)
    pull(here, peer), pull(peer, here)
    assert here.own_writes.is_unconfirmed(KEY, 1)
    pull(here, peer)  # it has the same
    answer = missing_update(here, KEY, 1, b"")
    assert answer is not None
    assert NEW in decode_update(answer.update).structs


def test_two_that_doubt_each_other_become_equal():
    """Each has a part of what the other has written since its start, by pushes that no reading shows."""
    replicas = [replica_of(OLD), replica_of(PEER)]
    for number in range(2):
        for here, there in (replicas, replicas[::-1]):
            write(here, KEY, **{f"key {here.client} {number}": 1})
            if not number:
                whole = here.merged(KEY, here.live(KEY))  # type: ignore[arg-type]
                pushed = encode_update(Update({here.client: whole.structs[here.client]}))
                there.join(DocumentUpdate(*names_of(KEY), 1, False, 0.0, pushed), "peer")
                commit(there)
    converge(*replicas)


def test_only_what_differs_is_withdrawn():
    """A memory that goes back without a start: the peer has the first of the remembered writes too."""
    image, peer = replica_of(OLD), replica_of(PEER)
    write(image, KEY, base=1)
    write(image, KEY, shared=1)
    here = replica_of(OLD, image)
    here.own_writes.note(KEY, OLD, 1, 0, 1)
    write(image, KEY, lost=1)
    write(here, KEY, mine=1)
    pull(peer, image)
    pull(here, peer)
    assert write_again(here) == {KEY}
    record = here.record_on_disk(KEY)
    assert record is not None
    assert record.state_vector == {OLD: 2, NEW: 1}
    converge(here, peer)


def test_deleted_structs_differ_if_their_places_do():
    """Both pasts have set a member twice, and not the same one. The first struct of each is deleted since."""
    here, peer = replica_of(OLD), replica_of(OLD)
    for replica, name in ((here, "mine"), (peer, "theirs")):
        write(replica, KEY, **{name: 1})
        write(replica, KEY, **{name: 2})
    mine, theirs = (structs_of(replica) for replica in (here, peer))
    assert mine[0].kind == theirs[0].kind == DELETED
    assert first_difference(OLD, mine, theirs, 0) == 0
    assert first_difference(OLD, mine, mine, 0) is None


def test_what_comes_from_a_later_clock_on_is_compared_too():
    """A peer may send the end of what it has alone."""
    here, peer = replica_of(OLD), replica_of(OLD)
    for replica, name in ((here, "mine"), (peer, "theirs")):
        write(replica, KEY, shared=1)
        write(replica, KEY, **{name: 1})
    mine, theirs = (structs_of(replica) for replica in (here, peer))
    later = structs_from(OLD, theirs, 1)
    assert first_difference(OLD, mine, later, 0) == 1
    assert first_difference(OLD, mine, structs_from(OLD, mine, 1), 0) is None


def structs_of(replica: Replica) -> Sequence[Struct]:
    record = replica.record_on_disk(KEY)
    assert record is not None
    return decode_update(compacted(replica.state(KEY, record))).structs[OLD]


# --- derived writes, which nobody contradicts


def write_alike(replica: Replica, key: bytes, **changes: object) -> None:
    """As `write`, and as the store does: an insertion into an array is written under a derived id."""
    record = replica.live(key)
    assert record is not None
    maps = replica.maps(key, record)
    assert maps is not None
    target = {**json.loads(replica.value(key, record)), **changes}
    before = Before(key, record.incarnation, record.fingerprint, record.state_vector)
    own = replica.client_of(record.incarnation)
    update = change_by(own, before, maps, plan(maps.shape(), target))
    assert own not in update.structs
    replica.write(key, update, dump(target))
    commit(replica)


def test_a_derived_write_is_not_withdrawn():
    """It says the same wherever it is written."""
    here, peer = gone_back(2)
    write_alike(here, KEY, items=[1, 2])
    assert not len(here.own_writes)
    pull(here, peer)
    assert write_again(here) == set()
    converge(here, peer)
    assert content(peer)[KEY] == {"base": 1, "lost 0": 0, "lost 1": 1, "items": [1, 2]}


def test_derived_writes_that_depend_on_withdrawn_ones_are_written_again_with_them():
    here, peer = gone_back(2, items=[1])
    write(here, KEY, mine=1)
    write_alike(here, KEY, mine=2, items=[1, 2])
    write_alike(here, KEY, mine=2, items=[1, 2, 3])
    pull(here, peer)
    assert write_again(here) == {KEY}
    converge(here, peer)
    assert content(peer)[KEY] == {
        "base": 1,
        "lost 0": 0,
        "lost 1": 1,
        "mine": 2,
        "items": [1, 2, 3],
    }


def test_derived_writes_before_the_first_withdrawn_one_stay():
    here, peer = gone_back(2, items=[1])
    write_alike(here, KEY, items=[1, 2])
    (derived,) = set(here.live(KEY).state_vector) - {OLD}  # type: ignore[union-attr]
    write(here, KEY, mine=1)
    pull(here, peer)
    assert write_again(here) == {KEY}
    record = here.live(KEY)
    assert record is not None
    assert derived in record.state_vector
    converge(here, peer)


def test_what_changes_of_others_to_derived_writes_depend_on_is_kept():
    here, peer = gone_back(2, items=[1])
    write(here, KEY, mine=1)
    write_alike(here, KEY, mine=2, items=[1, 2])
    other = replica_of(PEER + 1)
    pull(other, here)
    write(other, KEY, items=[1, 2, 3])
    pull(here, other)
    pull(here, peer)
    assert here.is_contradicted
    assert write_again(here) == set()


# --- what is remembered


def test_the_first_clock_and_the_last_sequence_are_remembered():
    own = OwnWrites()
    own.note(KEY, 1, 1, 5, 10)
    own.note(KEY, 1, 1, 7, 11)
    assert own.find(KEY, 1) == OwnWrite(1, 1, 5, 11)
    assert own.find(KEY, 2) is None
    own.note_derived(KEY, 1, 7)
    own.note_derived(KEY, 2, 8)
    own.note_derived(KEYS[1], 1, 9)
    own.note(KEY, 1, 1, 8, 12)
    own.withdraw_all()
    assert own.pending == {KEY: OwnWrite(1, 1, 5, 12, (7,))}
    assert decode_own_write(encode_own_write(own.pending[KEY])) == own.pending[KEY]


def test_what_a_peer_has_is_forgotten():
    own = OwnWrites()
    own.note(KEYS[0], 1, 1, 0, 1)
    own.root_read(b"root 1", 1)
    own.note(KEYS[1], 1, 1, 0, 2)
    own.note(KEYS[0], 1, 1, 1, 3)
    own.root_read(b"root 3", 3)
    own.note(KEYS[2], 1, 1, 0, 4)
    own.agreed(b"another root")
    assert len(own) == 3
    own.agreed(b"root 1")
    assert len(own) == 3
    own.agreed(b"root 3")
    own.withdraw_all()
    assert set(own.pending) == {KEYS[2]}


def test_so_many_documents_are_remembered():
    own = OwnWrites()
    for number in range(MAX_OWN_WRITES):
        own.note(b"c\0%d" % number, 1, 1, 0, number)
    assert own.is_complete
    own.note(KEY, 1, 1, 0, 0)
    assert (len(own), own.is_complete) == (MAX_OWN_WRITES, False)


# --- the state without own writes


def test_arrays_and_texts_are_what_they_were_before():
    other: pycrdt.Doc = pycrdt.Doc(client_id=7)
    other.get("/list", type=pycrdt.Array).extend([1, 2])
    own: pycrdt.Doc = pycrdt.Doc(client_id=5)
    own.apply_update(other.get_update())
    items, text = own.get("/list", type=pycrdt.Array), own.get("/text", type=pycrdt.Text)
    items.append("kept")
    text += "kept"
    clock = sum(struct.length for struct in decode_update(own.get_update()).structs[5])
    items.append("withdrawn")
    del items[0]
    text += " withdrawn"
    whole = decode_update(own.get_update())
    left = without_own_writes(whole, OwnWrite(5, 1, clock, 0))
    assert left is not None
    assert left.state_vector() == {7: 2, 5: clock}
    after: pycrdt.Doc = pycrdt.Doc()
    after.apply_update(encode_update(left))
    assert after.get("/list", type=pycrdt.Array).to_py() == [2, "kept"]
    assert str(after.get("/text", type=pycrdt.Text)) == "kept"
    none_left = without_own_writes(whole, OwnWrite(5, 1, 0, 0))
    assert none_left is not None
    assert none_left.state_vector() == {7: 2}


def test_a_withdrawal_that_is_undone_leaves_the_document_readable_as_it_was():
    here, _ = gone_back(1)
    write(here, KEY, mine=1)
    record = here.live(KEY)
    own = here.own_writes.find(KEY, 1)
    assert record is not None
    assert own is not None
    remaining = here.remaining(KEY, record, own)
    assert remaining is not None
    here.replace_state(KEY, record, remaining)
    here.replace_state(KEY, record, record)
    maps = here.maps(KEY, record)
    assert maps is not None
    assert maps.shape().leaves == {"/base": 1, "/mine": 1}
