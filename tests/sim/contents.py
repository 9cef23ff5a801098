"""What a document holds, clock by clock: independent of how its structs are cut, joined, compacted and stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import unkeyed_sums
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import display_name
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.keyspace import (
    CLOCKS,
    RECORD,
    SNAPSHOT,
    TOMBSTONE,
    VALUE,
    KeyValue,
    after,
)
from peatnode.documents.replica.record import Record, decode_record
from peatnode.documents.replica.state_packing import unpack_state
from peatnode.documents.yjs.clocks.base_clocks import Clocks, base_id, decode_clocks
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, skip_any
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.structs import ANY, GC, JSON, STRING, Id, Struct
from peatnode.documents.yjs.update import Update

Get = Callable[[bytes], bytes | None]
Unit = tuple[object, ...]

DELETED_UNIT = b"deleted"


@dataclass(frozen=True)
class Content:
    """One document on one disk."""

    incarnation: int
    is_deleted: bool
    expires_at: float
    value: bytes | None
    """JSON; empty for a tombstone; None: nobody has computed it yet."""
    units: dict[Id, Unit]
    """For each clock its place in the document, and its content or DELETED_UNIT."""
    deleted: DeleteSet


def record_of(get: Get, key: bytes) -> Record | None:
    data = get(RECORD + key) or get(TOMBSTONE + key)
    return None if data is None else decode_record(data, partial(_clocks, get, key))


def _clocks(get: Get, key: bytes, wanted: bytes) -> Clocks:
    stored = get(CLOCKS + key)
    assert stored is not None
    assert base_id(stored) == wanted
    return decode_clocks(stored)


def content_of(get: Get, key: bytes) -> Content | None:
    record = record_of(get, key)
    if record is None:
        return None
    if record.is_deleted:
        return Content(record.incarnation, True, 0.0, b"", {}, record.delete_set)
    snapshot = record.snapshot
    if snapshot is None:
        snapshot = unpack_state(get(SNAPSHOT + key) or b"")
    state = merge_updates((snapshot, *record.delta_log), STATE_LIMITS)
    is_separate = record.flags & DocumentFlag.VALUE_SEPARATE
    value = (get(VALUE + key) if is_separate else record.value) or b"{}"
    assert state.state_vector() == record.state_vector, "the state is not that of its vector"
    assert state.delete_set == record.delete_set, "the state is not that of its delete set"
    expected = state_sum(unkeyed_sums(), state)
    assert record.content_sum == expected, "the content sum is not that of the state"
    return Content(
        record.incarnation,
        False,
        record.expires_at,
        None if record.is_value_outdated else value,
        units_of(state),
        state.delete_set,
    )


def units_of(update: Update) -> dict[Id, Unit]:
    units: dict[Id, Unit] = {}
    for client, structs in update.structs.items():
        deleted = update.delete_set.ranges.get(client, ())
        for struct in structs:
            for offset, body in enumerate(_bodies(struct)):
                clock = struct.clock + offset
                is_deleted = any(start <= clock < end for start, end in deleted)
                units[client, clock] = (
                    *_place(client, struct, offset),
                    DELETED_UNIT if is_deleted else body,
                )
    return units


def _place(client: int, struct: Struct, offset: int) -> Unit:
    if struct.kind == GC:
        return (GC,)
    if not offset:
        return struct.origin, struct.right_origin, struct.parent, struct.key
    return (client, struct.clock + offset - 1), struct.right_origin, None, None


def _bodies(struct: Struct) -> Iterator[object]:
    kind = struct.kind
    if kind in (ANY, JSON):
        _, at = read_var_uint(struct.raw, struct.content_at)
        for _ in range(struct.length):
            end = skip_any(struct.raw, at, 100) if kind == ANY else read_chunk(struct.raw, at)[1]
            yield kind, struct.raw[at:end]
            at = end
    elif kind == STRING:
        text = read_chunk(struct.raw, struct.content_at)[0].decode().encode("utf-16-le")
        for at in range(0, len(text), 2):
            yield kind, text[at : at + 2]
    else:
        for _ in range(struct.length):
            yield kind, struct.raw[struct.content_at :] if struct.length == 1 else b""


def keys_of(disk: KeyValue) -> set[bytes]:
    """The keys of all documents and tombstones."""
    return {
        entry[1:] for prefix in (RECORD, TOMBSTONE) for entry, _ in disk.scan(prefix, after(prefix))
    }


def check_equal(disks: Mapping[str, KeyValue], reported: Collection[bytes] = ()) -> None:
    """Raises ContentsDiffer unless all disks hold the same values, places and contents, clock by clock.

    `reported`: keys of documents of which a node has said that they may differ.
    """
    keys = [keys_of(disk) for disk in disks.values()]
    for key in sorted(set().union(*keys).difference(reported)):
        contents = {name: content_of(disk.get, key) for name, disk in disks.items()}
        (first, expected), *others = contents.items()
        for name, content in others:
            if content != expected:
                what = display_name(key)
                raise ContentsDiffer(
                    f"{what}: {first} and {name} differ: {_difference(expected, content)}"
                )


class ContentsDiffer(AssertionError):
    """Nodes with equal roots hold other documents."""


def _difference(one: Content | None, other: Content | None) -> str:
    if one is None or other is None:
        return "one of them has no record"
    for name in ("incarnation", "is_deleted", "expires_at", "deleted", "value"):
        if getattr(one, name) != getattr(other, name):
            return f"{name}: {getattr(one, name)!r} and {getattr(other, name)!r}"
    at = next(at for at in {**one.units, **other.units} if one.units.get(at) != other.units.get(at))
    return f"at {at}: {one.units.get(at)} and {other.units.get(at)}"
