"""Yjs clients that hold content of an incarnation that has ended."""

from __future__ import annotations

import random

import pycrdt
import pytest

from peatnode.documents.limits import MAX_ENDED_CLIENTS
from peatnode.documents.names import document_key
from peatnode.documents.replica.reads import missing_update
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.state_vector import encode_state_vector
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put

KEY = document_key("c", "one")
EDITOR = 7
"""The client id of an editor of the incarnation that ends."""


def new_replica(client: int = 1) -> Replica:
    return Replica(MemoryKeyValue(), client)


def record_of(replica: Replica) -> Record:
    record = replica.record(KEY)
    assert record is not None
    return record


def arrival(update: bytes, incarnation: int = 1) -> DocumentUpdate:
    return DocumentUpdate("c", "one", incarnation, False, 0.0, update)


def join(replica: Replica, update: bytes, origin: str = "client:1") -> Outcome:
    """Joins what a client sends to the incarnation that is, or that the next write begins."""
    change = arrival(update, replica.next_incarnation(KEY))
    return replica.join(change, origin).outcome


def editor_of(replica: Replica, client: int = EDITOR) -> pycrdt.Doc:
    """A Yjs document with all that the replica holds."""
    doc = pycrdt.Doc(client_id=client)
    record = replica.live(KEY)
    if record is not None:
        for update in replica.state(KEY, record):
            doc.apply_update(update)
    return doc


def type_text(doc: pycrdt.Doc, text: str) -> bytes:
    """Appends to the text `t`; returns the update."""
    before = doc.get_state()
    typed = doc.get("t", type=pycrdt.Text)
    typed += text
    update: bytes = doc.get_update(before)
    return update


def delete_text(doc: pycrdt.Doc, start: int, end: int) -> bytes:
    before = doc.get_state()
    del doc.get("t", type=pycrdt.Text)[start:end]
    update: bytes = doc.get_update(before)
    return update


def with_ended_editor() -> tuple[Replica, pycrdt.Doc]:
    """A replica whose document was deleted, and the copy of an editor who was offline meanwhile."""
    replica = new_replica()
    put(replica, KEY, {"a": 1})
    doc = editor_of(replica)
    assert join(replica, type_text(doc, "typed before")) is Outcome.APPLIED
    replica.delete(KEY)
    commit(replica)
    return replica, doc


def unchanged(replica: Replica, update: bytes) -> bool:
    """Whether a client is told that its content has ended, and nothing else happens."""
    before, sequence = replica.record(KEY), replica.staged_sequence
    outcome = join(replica, update)
    commit(replica)
    return (
        outcome is Outcome.STALE
        and replica.record(KEY) == before
        and replica.staged_sequence == sequence
    )


def only_structs(doc: pycrdt.Doc) -> bytes:
    del doc
    fresh = pycrdt.Doc(client_id=EDITOR)
    return type_text(fresh, "t")


def only_deletions(doc: pycrdt.Doc) -> bytes:
    update = delete_text(doc, 0, 2)
    assert update[0] == 0, "it has no structs"
    return update


def with_honest_content(doc: pycrdt.Doc) -> bytes:
    """What the page of a new editor sends, into whose document an old copy was loaded."""
    fresh = pycrdt.Doc(client_id=99)
    type_text(fresh, "new")
    fresh.apply_update(doc.get_update())
    update: bytes = fresh.get_update()
    return update


def in_one_of_many_structs(doc: pycrdt.Doc) -> bytes:
    type_text(doc, "typed offline")
    delete_text(doc, 3, 20)
    update: bytes = doc.get_update()
    return update


SENT = (only_structs, only_deletions, with_honest_content, in_one_of_many_structs)


@pytest.mark.parametrize("sent", SENT)
def test_ended_content_does_not_begin_a_document(sent) -> None:
    replica, doc = with_ended_editor()
    assert unchanged(replica, sent(doc))
    assert replica.live(KEY) is None


@pytest.mark.parametrize("sent", SENT)
def test_ended_content_does_not_come_into_the_next_incarnation(sent) -> None:
    replica, doc = with_ended_editor()
    put(replica, KEY, {"b": 2})
    commit(replica)
    assert unchanged(replica, sent(doc))
    honest = editor_of(replica, 11)
    assert join(replica, type_text(honest, "after it")) is Outcome.APPLIED
    assert unchanged(replica, sent(doc))


@pytest.mark.parametrize("sent", SENT)
def test_ended_content_of_two_incarnations_ago(sent) -> None:
    replica, doc = with_ended_editor()
    for number in range(2):
        put(replica, KEY, {"b": number})
        commit(replica)
        replica.delete(KEY)
        commit(replica)
    assert unchanged(replica, sent(doc))


def test_what_an_editor_adds_to_ended_content_is_refused_or_has_no_place() -> None:
    """Its own first update after the deletion depends on what has ended: the client is asked for everything."""
    replica, doc = with_ended_editor()
    assert join(replica, type_text(doc, "more")) is Outcome.GAP
    assert unchanged(replica, doc.get_update())


def test_a_store_behind_the_room_takes_what_it_holds_for_ended() -> None:
    """The room knows of a deletion that this store has lost."""
    replica = new_replica()
    doc = editor_of(replica)
    update = type_text(doc, "typed")
    assert join(replica, update) is Outcome.APPLIED
    before = record_of(replica)
    assert replica.join(arrival(update, 2), "client:1").outcome is Outcome.STALE
    assert replica.record(KEY) == before


def test_editors_of_the_new_document_are_not_concerned() -> None:
    replica, _ = with_ended_editor()
    put(replica, KEY, {"b": 2})
    one, two = editor_of(replica, 20), editor_of(replica, 21)
    for doc in (one, two, one):
        for step in (type_text(doc, "abc"), delete_text(doc, 0, 1), doc.get_update()):
            assert join(replica, step) in (Outcome.APPLIED, Outcome.KNOWN)
        for other in (one, two):
            other.apply_update(doc.get_update())


def test_what_a_peer_brings_back_is_in_the_document_and_its_editors_are_let_in() -> None:
    """Nodes that know different parts of the ended vector still converge."""
    replica, doc = with_ended_editor()
    put(replica, KEY, {"b": 2})
    assert join(replica, only_structs(doc), "peer") is Outcome.APPLIED
    here = editor_of(replica, 30)
    assert join(replica, here.get_update()) is Outcome.KNOWN
    assert join(replica, delete_text(here, 0, 1)) is Outcome.APPLIED
    assert unchanged(replica, doc.get_update()), "the rest has ended all the same"


# --- what nodes tell each other of what has ended


def whole(replica: Replica) -> DocumentUpdate:
    """What a peer receives that has nothing of the document."""
    commit(replica)
    sent = missing_update(replica, KEY, 0, b"")
    assert sent is not None
    return sent


def test_a_node_that_receives_the_new_document_alone_knows_what_has_ended() -> None:
    replica, doc = with_ended_editor()
    put(replica, KEY, {"b": 2})
    late = new_replica(2)
    assert late.join(whole(replica), "peer").outcome is Outcome.APPLIED
    commit(late)
    assert record_of(late).ended_vector == record_of(replica).ended_vector
    assert unchanged(late, doc.get_update())


def test_a_node_that_holds_the_old_document_adds_what_a_peer_knows() -> None:
    replica, doc = with_ended_editor()
    put(replica, KEY, {"b": 2})
    late = new_replica(2)
    put(late, KEY, {"mine": 1})
    commit(late)
    assert late.join(whole(replica), "peer").outcome is Outcome.APPLIED
    assert dict(record_of(late).ended_vector) == {2: 1, **record_of(replica).ended_vector}
    assert unchanged(late, only_structs(doc))


@pytest.mark.parametrize("is_rewritten", [False, True])
def test_another_tombstone_of_what_has_ended_adds_what_it_knows(is_rewritten: bool) -> None:
    """Two nodes that were cut off from each other have deleted a document, and each knows other editors of it."""
    here, there = new_replica(1), new_replica(2)
    put(here, KEY, {"a": 1})
    there.join(whole(here), "peer")
    docs = []
    for client, replica in ((EDITOR, here), (EDITOR + 1, there)):
        docs.append(editor_of(replica, client))
        assert join(replica, type_text(docs[-1], "typed")) is Outcome.APPLIED
        replica.delete(KEY)
    sent = whole(there)
    commit(here)
    if is_rewritten:
        put(here, KEY, {"b": 2})
        commit(here)
    root, sequence = here.tree.root, here.staged_sequence
    expected = Outcome.STALE if is_rewritten else Outcome.KNOWN
    assert here.join(sent, "peer").outcome is expected
    commit(here)
    assert set(record_of(here).ended_vector) == {1, EDITOR, EDITOR + 1}
    assert (here.tree.root, here.staged_sequence) == (root, sequence)
    foreign = type_text(pycrdt.Doc(client_id=EDITOR + 1), "t")
    assert unchanged(here, foreign)


def test_a_deletion_that_is_pushed_says_what_has_ended() -> None:
    """The peer may have nothing of the document, because it was created and deleted while the peer was away."""
    replica, doc = with_ended_editor()
    put(replica, KEY, {"b": 1})
    commit(replica)
    replica.delete(KEY)
    change = commit(replica).changes[-1]
    sent = DocumentUpdate("c", "one", change.entry.incarnation, True, 0.0, change.update)
    late = new_replica(2)
    assert late.join(sent, "peer").outcome is Outcome.APPLIED
    commit(late)
    assert record_of(late).ended_vector == record_of(replica).ended_vector
    assert unchanged(late, doc.get_update())


def test_an_update_within_an_incarnation_says_nothing_of_earlier_ones() -> None:
    """It is sent for each change, so it stays small."""
    replica, _ = with_ended_editor()
    put(replica, KEY, {"b": 2})
    commit(replica)
    sent = missing_update(replica, KEY, 2, encode_state_vector({99: 1}))
    assert sent is not None
    assert sent.update
    assert sent.ended == b""
    assert whole(replica).ended


def test_a_malformed_ended_vector_is_refused() -> None:
    replica, _ = with_ended_editor()
    put(replica, KEY, {"b": 2})
    sent = whole(replica)
    for ended in (b"\xff", b"\x01", b"\x05\x01\x01"):
        wrong = DocumentUpdate(
            sent.collection, sent.id, sent.incarnation, False, 0.0, sent.update, ended
        )
        late = new_replica(2)
        assert late.join(wrong, "peer").outcome is Outcome.REFUSED
        assert late.record(KEY) is None


def test_random_clients_never_bring_back_what_was_deleted(rng: random.Random) -> None:
    """Whatever an offline copy adds and in whatever portions it sends it, none of the deleted text comes back."""
    for _ in range(30):
        replica, doc = with_ended_editor()
        if rng.random() < 0.7:
            put(replica, KEY, {"b": 2})
            commit(replica)
        updates = [doc.get_update()]
        for _ in range(rng.randrange(4)):
            updates.append(type_text(doc, "x" * rng.randrange(1, 5)))
            updates.append(delete_text(doc, 0, 1))
        fresh = pycrdt.Doc(client_id=rng.randrange(1000, 2000))
        updates.append(type_text(fresh, "new"))
        rng.shuffle(updates)
        for update in updates:
            outcome = join(replica, update)
            assert outcome is not Outcome.APPLIED or update[0] != 0
        record = replica.live(KEY)
        if record is not None:
            assert str(editor_of(replica).get("t", type=pycrdt.Text)) in ("", "new")


@pytest.mark.parametrize("is_deleted_here", [False, True])
def test_made_up_clients_in_a_tombstone_push_out_nobody(is_deleted_here: bool) -> None:
    replica = new_replica()
    editor = editor_of(replica)
    assert join(replica, type_text(editor, "old")) is Outcome.APPLIED
    commit(replica)
    if is_deleted_here:
        replica.delete(KEY)
        commit(replica)
    known = dict.fromkeys((EDITOR, *range(10**6, 10**6 + MAX_ENDED_CLIENTS)), 1)
    ended = encode_state_vector(known)
    joined = replica.join(DocumentUpdate("c", "one", 1, True, 0.0, ended), "peer")
    assert joined.outcome is (Outcome.KNOWN if is_deleted_here else Outcome.APPLIED)
    commit(replica)
    assert len(record_of(replica).ended_vector) == MAX_ENDED_CLIENTS
    assert join(replica, editor.get_update()) is Outcome.STALE
