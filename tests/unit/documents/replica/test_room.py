"""What a node takes from its own clients its peers take from it: whole, and change by change."""

from dataclasses import replace

import pycrdt
import pytest

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape
from peatnode.documents.limits import (
    CLIENT_LIMITS,
    MAX_CLIENTS,
    MAX_JOINED_BYTES,
    MAX_STATE_BYTES,
    PEER_LIMITS,
)
from peatnode.documents.names import document_key
from peatnode.documents.replica.join import check_room
from peatnode.documents.replica.reads import document_update
from peatnode.documents.replica.record import Record, tombstone
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.structs import gc_struct
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit

KEY = document_key("c", "one")
MEBIBYTE = 1024 * 1024


def new_replica(client: int = 1) -> Replica:
    return Replica(MemoryKeyValue(), client)


def change(update: bytes) -> DocumentUpdate:
    return DocumentUpdate("c", "one", 1, False, 0.0, update)


def whole(replica: Replica) -> DocumentUpdate:
    record = replica.record_on_disk(KEY)
    assert record is not None
    return document_update(replica, KEY, record)


def typed(client: int, texts: list[str]) -> list[DocumentUpdate]:
    """A Yjs client that adds texts to an array of its own."""
    doc: pycrdt.Doc = pycrdt.Doc(client_id=client)
    array = doc.get(f"a{client}", type=pycrdt.Array)
    found = []
    for text in texts:
        state = doc.get_state()
        array.append(text)
        found.append(change(doc.get_update(state)))
    return found


def test_peers_take_what_two_nodes_have_filled_apart() -> None:
    nodes = new_replica(1), new_replica(2)
    accepted = []
    for node, client in zip(nodes, (5, 6), strict=True):
        for update in typed(client, ["x" * (MEBIBYTE - 100)] * 17):
            joined = node.join(update, "client")
            commit(node)
            if joined.outcome is Outcome.REFUSED:
                assert joined.reason == f"the document exceeds {MAX_STATE_BYTES} bytes"
            else:
                accepted.append(update)
    assert len(accepted) == 32
    first, second = nodes
    assert second.join(whole(first), "peer").outcome is Outcome.APPLIED
    for update in accepted:
        assert first.join(update, "peer").outcome in (Outcome.APPLIED, Outcome.KNOWN)
    for node in nodes:
        commit(node)
    assert first.tree.root == second.tree.root
    assert new_replica(3).join(whole(first), "peer").outcome is Outcome.APPLIED
    more = typed(7, ["x" * MEBIBYTE])[0]
    assert first.join(more, "peer").reason == f"the document exceeds {MAX_JOINED_BYTES} bytes"


def clients(first: int, count: int) -> Update:
    structs = {client: (gc_struct(0, 1),) for client in range(first, first + count)}
    return Update(structs, EMPTY_DELETE_SET)


def written_by(count: int) -> Record:
    return replace(tombstone(1, 0), flags=0, state_vector=dict.fromkeys(range(count), 1))


@pytest.mark.parametrize(("origin", "most"), [("client", MAX_CLIENTS), ("peer", 2 * MAX_CLIENTS)])
def test_a_document_has_only_so_many_clients(origin: str, most: int) -> None:
    new = clients(10**6, 2)
    assert check_room(written_by(most - 2), 1, new, 9, origin) is None
    refusal = check_room(written_by(most - 1), 1, new, 9, origin)
    assert refusal is not None
    assert refusal.reason == f"more than {most} clients have written the document"
    known = clients(0, 2)
    assert check_room(written_by(most + 5), 1, known, 9, origin) is None


def test_peers_take_the_clients_of_two_nodes() -> None:
    whole = clients(10**6, 2 * MAX_CLIENTS)
    assert decode_update(encode_update(whole), PEER_LIMITS)


def test_items_without_an_origin_that_came_one_by_one_come_as_a_whole_too() -> None:
    made = []
    for clock in range(1100):
        update = root_maps.change(root_maps.NO_ROOT_MAPS, plan(Shape(), {"k": clock}), 5, clock)
        made.append(decode_update(encode_update(update), CLIENT_LIMITS))
    merged = encode_update(merge_updates(made))
    assert decode_update(merged, PEER_LIMITS)
