"""Packs large states for the disk: the remains of overwritten values become small numbers that compress well.

A document that was overwritten many times consists mostly of deleted items whose origins lie a constant distance
back. Yjs's encoding repeats client and clock for each of them. Here, such an item is two small numbers, which RocksDB
compresses further.
"""

from collections.abc import Callable

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import display_name
from peatnode.documents.replica.keyspace import SNAPSHOT, KeyValue
from peatnode.documents.replica.record import Record
from peatnode.documents.yjs.decode_structs import read_structs
from peatnode.documents.yjs.delete_set import DeleteSet, encode_delete_set, read_delete_set
from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, var_uint
from peatnode.documents.yjs.structs import DELETED, HAS_ORIGIN, Struct
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.errors import EntriesDiffer, MalformedUpdate

PLAIN, PACKED = b"\0", b"\1"

_NOTHING_DELETED = b"\0"
"""The end of an update without a delete set. Every other one ends with a length, which is not 0."""


def pack_state(state: bytes) -> bytes:
    """The bytes to store for a whole, compacted state."""
    if state.endswith(_NOTHING_DELETED):
        return PLAIN + state  # only what was deleted is packed
    update = decode_update(state, STATE_LIMITS)
    parts = [PACKED, var_uint(len(update.structs))]
    for client, structs in update.structs.items():
        if structs[0].clock or structs[-1].end != sum(s.length for s in structs):
            return PLAIN + state  # unpacking assumes clocks from 0 without a gap
        parts += (var_uint(client), var_uint(len(structs)))
        parts += (_packed_struct(client, struct) for struct in structs)
    parts.append(encode_delete_set(update.delete_set))
    packed = b"".join(parts)
    return packed if len(packed) < len(state) // 2 else PLAIN + state


def _packed_struct(client: int, struct: Struct) -> bytes:
    origin = struct.origin
    if struct.kind == DELETED and struct.right_origin is None and origin and origin[0] == client:
        return var_uint(struct.clock - origin[1]) + var_uint(struct.length)
    return b"\0" + var_uint(len(struct.raw)) + struct.raw


def state_reader(kv: KeyValue, key: bytes, record: Record) -> Callable[[], tuple[bytes, ...]]:
    """Reads a record's state from the disk now, and returns what unpacks it later, also in a thread.

    That raises EntriesDiffer if the separate snapshot is missing, or is that of another record.
    """
    if record.snapshot is not None:
        state = (record.snapshot, *record.delta_log) if record.snapshot else record.delta_log
        return lambda: state
    # from disk alone, because only a record from disk has separate entries
    stored = kv.get(SNAPSHOT + key)
    return lambda: (unpack_snapshot(key, record, stored), *record.delta_log)


def unpack_snapshot(key: bytes, record: Record, stored: bytes | None) -> bytes:
    """The separate snapshot of a record; `stored` is its entry. May run in a thread.

    Raises EntriesDiffer if the entry is missing, malformed, or that of another record.
    """
    try:
        snapshot = unpack_state(stored or b"")
    except MalformedUpdate:
        snapshot = b""
    if len(snapshot) != record.snapshot_bytes:
        raise EntriesDiffer(
            f"the snapshot of {display_name(key)} has {len(snapshot)} bytes, "
            f"and its record says {record.snapshot_bytes}"
        )
    return snapshot


def unpack_state(stored: bytes) -> bytes:
    """The state that `pack_state` packed. Raises MalformedUpdate for other bytes."""
    if stored[:1] == PLAIN:
        return stored[1:]
    try:
        return _unpacked(stored)
    except (IndexError, UnicodeDecodeError):
        raise MalformedUpdate("the packed state is malformed") from None


def _unpacked(stored: bytes) -> bytes:
    structs: dict[int, list[Struct]] = {}
    clients, pos = read_var_uint(stored, 1)
    for _ in range(clients):
        client, pos = read_var_uint(stored, pos)
        count, pos = read_var_uint(stored, pos)
        structs[client], pos = _read(stored, pos, client, count)
    ranges, _ = read_delete_set(stored, pos, STATE_LIMITS)
    return encode_update(Update(structs, DeleteSet.from_ranges(ranges)))


def _read(stored: bytes, pos: int, client: int, count: int) -> tuple[list[Struct], int]:
    found: list[Struct] = []
    clock = 0
    client_id = var_uint(client)
    for _ in range(count):
        distance, pos = read_var_uint(stored, pos)
        if distance:
            length, pos = read_var_uint(stored, pos)
            head = bytes((DELETED | HAS_ORIGIN,)) + client_id + var_uint(clock - distance)
            origin = (client, clock - distance)
            raw = head + var_uint(length)
            struct = Struct(DELETED, clock, length, origin, None, None, None, raw, len(head))
        else:
            raw, pos = read_chunk(stored, pos)
            # the decoder reads updates, so the struct becomes an update of its own
            update = b"\1\1" + client_id + var_uint(clock) + raw + b"\0"
            struct = read_structs(update, STATE_LIMITS)[0][client][0]
        found.append(struct)
        clock += struct.length
    return found, pos
