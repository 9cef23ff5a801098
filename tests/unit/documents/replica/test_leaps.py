"""Incarnations at their limits: what a node makes by itself its peers accept, and what leaps is refused."""

import pytest

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape
from peatnode.documents.limits import (
    LATE_INCARNATION,
    MAX_INCARNATION,
    MAX_LATE_LEAP,
    MAX_LEAP,
    PEER_LIMITS,
)
from peatnode.documents.names import document_key
from peatnode.documents.replica.reads import document_update
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.structs import gc_struct
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.errors import NumbersExhausted
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit, put

KEY = document_key("c", "one")
LAST = MAX_INCARNATION - 1


def new_replica(client: int = 1) -> Replica:
    return Replica(MemoryKeyValue(), client)


def end(incarnation: int) -> DocumentUpdate:
    return DocumentUpdate("c", "one", incarnation, True, 0.0, b"")


def leapt(incarnation: int) -> Replica:
    """A replica in which an incarnation has ended."""
    replica = new_replica()
    joined = replica.join(end(incarnation), "p", is_accepted=True)
    assert joined.outcome is Outcome.APPLIED
    commit(replica)
    return replica


def arrival(replica: Replica) -> DocumentUpdate:
    record = replica.record_on_disk(KEY)
    assert record is not None
    return document_update(replica, KEY, record)


@pytest.mark.parametrize(
    ("here", "incarnation", "is_leap"),
    [
        (0, 1, False),
        (0, MAX_LEAP, False),
        (0, MAX_LEAP + 1, True),
        (7, MAX_LEAP + 7, False),
        (7, MAX_LEAP + 8, True),
        (7, LAST, True),
        (LATE_INCARNATION - 1, LATE_INCARNATION - 1 + MAX_LEAP, False),
        (LATE_INCARNATION, LATE_INCARNATION + MAX_LATE_LEAP, False),
        (LATE_INCARNATION, LATE_INCARNATION + MAX_LATE_LEAP + 1, True),
        (LAST - 1, LAST, False),
    ],
)
def test_what_is_too_far_above_is_refused(here: int, incarnation: int, is_leap: bool) -> None:
    replica = leapt(here) if here else new_replica()
    joined = replica.join(end(incarnation), "p")
    assert joined.is_leap is is_leap
    assert joined.outcome is (Outcome.REFUSED if is_leap else Outcome.APPLIED)
    assert bool(joined.reason) is is_leap
    assert replica.open_batch.is_empty is is_leap


def test_what_a_node_makes_at_the_last_incarnations_its_peers_accept() -> None:
    here, there = leapt(LAST - 1), leapt(LAST - 1)
    put(here, KEY, {"a": 1})
    commit(here)
    assert here.live(KEY).incarnation == LAST
    assert there.join(arrival(here), "p").outcome is Outcome.APPLIED
    commit(there)
    here.delete(KEY)
    commit(here)
    assert there.join(arrival(here), "p").outcome is Outcome.APPLIED
    commit(there)
    assert there.tree.root == here.tree.root
    with pytest.raises(NumbersExhausted, match="no incarnation left"):
        put(here, KEY, {"a": 2})
    assert here.open_batch.is_empty
    refused = here.join(DocumentUpdate("c", "one", MAX_INCARNATION, False, 0.0, b"\0\0"), "client")
    assert refused.outcome is Outcome.REFUSED
    assert "use another id" in refused.reason


def test_a_writer_without_clocks_changes_nothing() -> None:
    replica, there = new_replica(), new_replica(2)
    rest = Update({1: (gc_struct(0, PEER_LIMITS.max_clock),)}, EMPTY_DELETE_SET)
    replica.write(KEY, rest, b"{}")
    commit(replica)
    assert there.join(arrival(replica), "p").outcome is Outcome.APPLIED
    one_more = Update({1: (gc_struct(PEER_LIMITS.max_clock, 1),)}, EMPTY_DELETE_SET)
    with pytest.raises(NumbersExhausted, match="no clock left"):
        replica.write(KEY, one_more, b"{}")
    assert replica.open_batch.is_empty
    change = DocumentUpdate("c", "one", 1, False, 0.0, encode_update(one_more))
    commit(there)
    assert there.join(change, "p").outcome is Outcome.REFUSED


def test_clocks_of_this_nodes_id_that_another_one_uses_up_are_not_its_own_any_more() -> None:
    here = new_replica()
    update = encode_update(
        Update({here.client: (gc_struct(0, PEER_LIMITS.max_clock),)}, EMPTY_DELETE_SET)
    )
    assert here.join(DocumentUpdate("c", "one", 1, False, 0.0, update), "p").outcome is (
        Outcome.APPLIED
    )
    assert here.is_client_id_taken
    here.renew_client(5)
    update = root_maps.change(root_maps.NO_ROOT_MAPS, plan(Shape(), {"a": 1}), 5, 0)
    here.write(KEY, update, b'{"a":1}')
    commit(here)
    there = new_replica(2)
    assert there.join(arrival(here), "p").outcome is Outcome.APPLIED
