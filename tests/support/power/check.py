"""Opens what a power cut left as the store does, and reads everything in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peatnode.documents.json import root_maps
from peatnode.documents.json.value import build, load_object
from peatnode.documents.names import names_of
from peatnode.documents.replica.index.hash_tree import HashTree, bucket_of, digest_of, tree_key_of
from peatnode.documents.replica.keyspace import EXPIRY, RECORD, TOMBSTONE, TREE, after
from peatnode.documents.replica.record import Record, decode_record, encode_tree_entry
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.write_batch import expiry_key
from peatnode.documents.yjs.any_value import Json
from tests.support.member_notes import MemberNotes
from tests.support.power.ledger import Ledger, Name
from workers.store.disk.database import StorageFailed
from workers.store.disk.generation import client_id
from workers.store.disk.open import OpenedStore, mark_for_repair, open_store
from workers.store.peers.members import KeptMembers

NODE_ID = "node-a"
PEERS = "peers"
"""Takes the place of a collection in the names of what is kept of peers."""


@dataclass(slots=True)
class Found:
    """What one opening finds."""

    damage: str
    generation: int
    documents: dict[Name, Json]
    tombstones: set[Name]
    root: bytes
    faults: list[str]
    """Where index, counts, values and clocks contradict the records."""


def check_store(data_dir: Path, ledger: Ledger, may_be_damaged: bool = False) -> list[str]:
    """What is wrong after a power cut: nothing, if the store keeps its promises. Opens it twice."""
    found = read_store(data_dir)
    wrong = [f"lost: {name}" for name in ledger.lost(found.documents)] + found.faults
    if found.damage and not may_be_damaged:
        wrong.append(f"damage is reported: {found.damage}")
    if found.generation in ledger.generations:
        wrong.append("the generation of before continues without a proof")
    again = read_store(data_dir)
    wrong += [f"at the second opening: {fault}" for fault in again.faults]
    if again.damage:
        wrong.append(f"damage is reported at the second opening: {again.damage}")
    if (again.documents, again.root) != (found.documents, found.root):
        wrong.append("the second opening finds other documents")
    return wrong


def read_store(data_dir: Path) -> Found:
    opened, replica = open_replica(data_dir)
    try:
        return _read(opened, replica)
    finally:
        opened.close()


def open_replica(data_dir: Path) -> tuple[OpenedStore, Replica]:
    """Opens the store as its worker does: damage that the replica finds is marked, and repaired by the next opening."""
    opened = open_store(data_dir)
    try:
        return opened, Replica(opened.database, client_id(NODE_ID, opened.choice.generation))
    except StorageFailed as error:
        opened.close()
        if not mark_for_repair(opened.database.path, error, opened.repair):
            raise
    return open_replica(data_dir)


def _read(opened: OpenedStore, replica: Replica) -> Found:
    database = opened.database
    found = Found(opened.damage, opened.choice.generation, {}, set(), replica.tree.root, [])
    tree = HashTree()
    index: dict[bytes, bytes] = {}
    expiries = set()
    for prefix in (RECORD, TOMBSTONE):
        for entry, data in database.scan(prefix, after(prefix)):
            key, record = entry[1:], decode_record(data)
            tree.change(bucket_of(tree_key_of(key)), digest_of(key, record.fingerprint))
            index[TREE + tree_key_of(key) + key] = encode_tree_entry(
                record.incarnation, record.is_deleted, record.fingerprint
            )
            if record.expires_at:
                expiries.add(expiry_key(key, record.expires_at))
            _read_record(found, replica, key, record)
    if dict(database.scan(TREE, after(TREE))) != index:
        found.faults.append("the tree index is not that of the records")
    if {entry for entry, _ in database.scan(EXPIRY, after(EXPIRY))} != expiries:
        found.faults.append("the index of expiries is not that of the records")
    if tree.root != replica.tree.root:
        found.faults.append("the root is not that of the records")
    counted = replica.counts.documents, replica.counts.tombstones
    if counted != (len(found.documents), len(found.tombstones)):
        found.faults.append(f"the counts are {counted}")
    _read_peers(found, replica)
    return found


def _read_peers(found: Found, replica: Replica) -> None:
    notes = MemberNotes()
    for peer in KeptMembers(replica, notes).read().peers:
        found.documents[PEERS, peer.node_id] = peer.last_seen
    found.faults += [f"what is kept of {name} is damaged" for name in notes.names]


def _read_record(found: Found, replica: Replica, key: bytes, record: Record) -> None:
    name = names_of(key)
    if replica.client_of(record.incarnation) in record.state_vector:
        found.faults.append(f"the own client id is new, and {name} has it")
    if record.is_deleted:
        found.tombstones.add(name)
        return
    state = replica.merged(key, record)
    vector = {client: structs[-1].end for client, structs in state.structs.items()}
    if (vector, state.delete_set) != (record.state_vector, record.delete_set):
        found.faults.append(f"the state of {name} is not that of its record")
    maps = root_maps.read(state)
    assert maps is not None, name
    found.documents[name] = build(maps.shape())
    if not record.is_value_outdated and load_object(replica.value(key, record)) != build(
        maps.shape()
    ):
        found.faults.append(f"the value of {name} is not that of its state")
