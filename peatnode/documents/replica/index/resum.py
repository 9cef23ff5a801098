"""Computes the content sums of all records anew, where they follow another definition or another key.

That is so in a store of 0.1, whose records have none, and after the formation's secret has changed. Each batch notes
how far it has come, so that the next start goes on there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import msgpack

from peatnode.documents.content.fingerprint import DEFINITION
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.names import display_name
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.documents.replica.keyspace import (
    CHECKPOINT,
    RECORD,
    SUMMED,
    TOMBSTONE,
    TREE,
    KeyValue,
    after,
)
from peatnode.documents.replica.record import (
    Record,
    decode_record,
    encode_record,
    encode_tree_entry,
)
from peatnode.documents.replica.state_packing import state_reader
from peatnode.documents.yjs.merge import merge_updates
from peatnode.errors import EntriesDiffer, MalformedUpdate

BATCH_RECORDS = 1000
BATCH_BYTES = 1024 * 1024
"""Bounds of one batch: whichever is reached first ends it."""

_DONE = b""

Writes = list[tuple[bytes, bytes | None]]


@dataclass(frozen=True, slots=True)
class SummedBatch:
    """What one step has computed. It is written as a whole."""

    writes: Writes
    records: int


class Resum:
    """The sums of a store under one key. Only the caller writes."""

    def __init__(self, kv: KeyValue, sums: UnitSums) -> None:
        self._kv = kv
        self._sums = sums
        stored = kv.get(SUMMED)
        noted = [] if stored is None else msgpack.unpackb(stored)
        is_ours = noted[:2] == [DEFINITION, sums.check]
        self._cursor: bytes = noted[2] if is_ours else RECORD
        """All entries before this key have been summed; empty: all of them."""
        self.is_new = not is_ours and _is_empty(kv)
        """Whether there is nothing to sum yet: only the note is missing."""

    @property
    def is_due(self) -> bool:
        return self._cursor != _DONE

    def batches(self) -> Generator[SummedBatch, None, None]:
        """The batches to write, in order: each one must be on disk before the next one is asked for.

        Raises EntriesDiffer if a record, or its state, cannot be read, and StorageFailed.
        """
        writes: Writes = [(CHECKPOINT, None)]
        records = size = 0
        for entry, data in self._entries():
            found = self._summed(entry, data)
            writes += found
            records, size = records + 1, size + len(data)
            if records >= BATCH_RECORDS or size >= BATCH_BYTES:
                yield SummedBatch([*writes, self._note(entry + b"\0")], records)
                writes, records, size = [], 0, 0
        yield SummedBatch([*writes, self._note(_DONE)], records)

    def _note(self, cursor: bytes) -> tuple[bytes, bytes]:
        self._cursor = cursor
        return SUMMED, msgpack.packb([DEFINITION, self._sums.check, cursor])

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for prefix in (RECORD, TOMBSTONE):
            if self._cursor < after(prefix):
                yield from self._kv.scan(max(self._cursor, prefix), after(prefix))

    def _summed(self, entry: bytes, data: bytes) -> Writes:
        key = entry[1:]
        try:
            record = decode_record(data)
            summed = replace(record, content_sum=self._sum(key, record))
        except (ValueError, MalformedUpdate) as error:
            reason = f"the record of {display_name(key)} cannot be read: {error}"
            raise EntriesDiffer(reason) from error
        writes: Writes = []
        if not record.is_deleted:
            writes.append(
                (entry, encode_record(summed, record.flags, record.snapshot, record.value))
            )
        tree_entry = encode_tree_entry(record.incarnation, record.is_deleted, summed.fingerprint)
        return [*writes, (TREE + tree_key_of(key) + key, tree_entry)]

    def _sum(self, key: bytes, record: Record) -> int:
        if record.is_deleted:
            return 0
        states = state_reader(self._kv, key, record)()
        return state_sum(self._sums, merge_updates(states, STATE_LIMITS))


def _is_empty(kv: KeyValue) -> bool:
    return not any(
        next(kv.scan(prefix, after(prefix)), None) is not None for prefix in (RECORD, TOMBSTONE)
    )
