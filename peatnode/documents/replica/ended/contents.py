"""Keeps what documents held when they ended: adds it in the batch of the deletion, and tells what has to go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from peatnode.documents.replica.ended.entries import (
    OVERHEAD_BYTES,
    EndedHead,
    EndedState,
    decode_head,
    decode_state,
    decode_totals,
    encode_head,
    encode_state,
    encode_totals,
    head_key,
    heads_of,
    names_in_state_key,
    state_key,
)
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.join import state_bytes
from peatnode.documents.replica.keyspace import (
    ENDED,
    ENDED_STATE,
    ENDED_TOTALS,
    SNAPSHOT,
    after,
    number,
)
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.replica.state_packing import unpack_state
from peatnode.errors import MalformedUpdate, StorageFailed

MOST_DUE = 4096
"""Entries that one turn of the maintenance removes at most."""
SAVE_SECONDS = 600.0
"""The time for which the store has run is written so often at least, while anything is kept."""

UNREADABLE = EndedState(-math.inf, 0, b"", (), None)
"""Stands for damaged content. It is due at once."""


@dataclass(frozen=True, slots=True)
class EndedBounds:
    """How long, and how much, ended content is kept."""

    seconds: float
    """While this store runs. 0: nothing is kept."""
    bytes: int


class EndedContents:
    """The ended content of one replica, in the replica's batches. In memory are its totals alone.

    A document with a snapshot of its own keeps that where it is, and its tombstone says so, until another incarnation
    begins: so the deletion of a large document writes no more than that of a small one.
    """

    def __init__(
        self,
        replica: Replica,
        bounds: EndedBounds,
        now: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        """`now`: Unix seconds. `steady`: seconds of a clock that is never set. Raises StorageFailed."""
        self._replica = replica
        self.bounds = bounds
        self._now = now
        self._steady = steady
        self._started = steady()
        self._ran = 0.0
        """Seconds for which the store had run when it was started."""
        self.count = 0
        self.bytes = 0
        self._next = 0.0
        """The time of `ran` at which the oldest entry is due, or earlier."""
        self._cursor = 0
        """All entries before this sequence have been removed."""
        self._removing = 0
        """Removals that were asked for and not carried out yet."""
        self._saved = 0.0
        self._are_totals_new = False
        """Whether the open batch changes the totals."""
        self._open_count = self._open_bytes = 0
        """What the open batch adds to them."""
        self._read_totals()
        replica.keeper = self

    @property
    def ran(self) -> float:
        """Seconds for which this store has run, over all its starts."""
        return self._ran + self._steady() - self._started

    # --- what the replica calls

    def ended(self, key: bytes, previous: Record, end: Record, origin: str) -> Record:
        """Keeps the content of a document, and returns the tombstone to store."""
        size = _size(key, previous)
        if self.bounds.seconds <= 0 or size > self.bounds.bytes:
            return end
        self._keep(key, previous, end.sequence, origin, size, None)
        if previous.snapshot is not None:
            return end
        flags = end.flags | DocumentFlag.SNAPSHOT_SEPARATE
        return replace(end, flags=flags, snapshot=None, snapshot_bytes=previous.snapshot_bytes)

    def replaced(self, key: bytes, previous: Record, sequence: int, origin: str) -> None:
        """Keeps the content of a document in whose place a peer has put a later incarnation."""
        size = _size(key, previous)
        if self.bounds.seconds <= 0 or size > self.bounds.bytes:
            return
        packed = None if previous.snapshot is not None else self._replica.kv.get(SNAPSHOT + key)
        self._keep(key, previous, sequence, origin, size, packed)

    def begun(self, key: bytes, end: Record) -> None:
        """Moves a snapshot that is still where the document had it: its place is needed, or no longer named."""
        entry = state_key(key, end.sequence)
        state = decode_state(self._staged(entry))
        if state is not None:
            packed = self._replica.kv.get(SNAPSHOT + key) or b""
            self._replica.put(entry, encode_state(state._replace(packed=packed)))

    def closing(self) -> None:
        """Adds the totals to a batch that changes them."""
        if self._are_totals_new:
            self._are_totals_new = False
            self._open_count = self._open_bytes = 0
            self._replica.put(*self.totals())

    # --- what may come back

    def find(self, key: bytes, incarnation: int = 0) -> EndedHead | None:
        """What is kept of an incarnation; 0: of the last one that is kept. Raises StorageFailed."""
        found = [head for head in self._heads(key) if incarnation in (0, head.incarnation)]
        return max(found, key=lambda head: head.sequence, default=None)

    def parts(self, head: EndedHead) -> tuple[bytes, ...] | None:
        """The updates, in causal order, that make up a state; None if it is gone. Raises StorageFailed."""
        state = decode_state(self._staged(state_key(head.key, head.sequence)))
        if state is None:
            return None
        snapshot = state.snapshot
        if snapshot is None:
            try:
                snapshot = unpack_state(self._packed(head, state) or b"")
            except MalformedUpdate:
                return None
        return (snapshot, *state.delta_log) if snapshot else state.delta_log

    def value(self, head: EndedHead) -> bytes | None:
        """The JSON that was stored with a state; None: it has to be computed. Raises StorageFailed."""
        state = decode_state(self._staged(state_key(head.key, head.sequence)))
        return None if state is None else state.value

    def _packed(self, head: EndedHead, state: EndedState) -> bytes | None:
        if state.packed is not None:
            return state.packed
        return self._replica.kv.get(SNAPSHOT + head.key) if self._holder(head) else None

    def _holder(self, head: EndedHead) -> Record | None:
        """The tombstone that keeps the snapshot of an ended document where that had it."""
        record = self._replica.record(head.key)
        is_holder = (
            record is not None
            and record.is_deleted
            and record.snapshot is None
            and record.sequence == head.sequence
        )
        return record if is_holder else None

    def listed(self, collection: str, place: bytes = b"") -> Iterator[EndedHead]:
        """What is on disk of a collection, by id and sequence, from a place on. Raises StorageFailed."""
        prefix = ENDED + collection.encode() + b"\0"
        for entry, data in self._replica.kv.scan(prefix + place, after(prefix)):
            head = decode_head(entry, data)
            if head is not None:
                yield head

    def collections(self, after_name: str = "") -> Iterator[str]:
        """The collections of which something is kept, by name, behind one. Raises StorageFailed."""
        start = ENDED + after_name.encode() + b"\1" if after_name else ENDED
        while (found := next(self._replica.kv.scan(start, after(ENDED)), None)) is not None:
            name = found[0][1:].partition(b"\0")[0]
            yield name.decode()
            start = ENDED + name + b"\1"

    def _heads(self, key: bytes) -> Iterator[EndedHead]:
        prefix = heads_of(key)
        staged = self._replica.open_batch.extra
        found = dict(self._replica.kv.scan(prefix, after(prefix)))
        found |= {entry: data or b"" for entry, data in staged.items() if entry.startswith(prefix)}
        for entry, data in found.items():
            head = decode_head(entry, data)
            if head is not None:
                yield head

    # --- what has to go

    def due(self) -> tuple[tuple[bytes, int], ...]:
        """(document key, sequence) of what has been kept long enough, or makes room; the oldest first.

        While removals are under way nothing is due. Raises StorageFailed.
        """
        over = self.bytes - self.bounds.bytes
        if self._removing or not self.count or (over <= 0 and self.ran < self._next):
            return ()
        found: list[tuple[bytes, int]] = []
        self._next = math.inf
        for key, sequence, state in self._oldest():
            if over <= 0 and self.ran < state.ran + self.bounds.seconds:
                self._next = state.ran + self.bounds.seconds
                break
            if len(found) == MOST_DUE:
                self._next = 0.0
                break
            found.append((key, sequence))
            over -= state.size
        return tuple(found)

    def _oldest(self) -> Iterator[tuple[bytes, int, EndedState]]:
        """(document key, sequence, state) of all that is on disk, the oldest first."""
        is_first = True
        start = ENDED_STATE + number(
            self._cursor
        )  # what was removed before costs each scan some time
        for entry, data in self._replica.kv.scan(start, after(ENDED_STATE)):
            key, sequence = names_in_state_key(entry)
            if is_first:
                self._cursor, is_first = sequence, False
            yield key, sequence, decode_state(data) or UNREADABLE
        if is_first and self._replica.open_batch.is_empty:
            self.count = self.bytes = 0  # a repair has lost the rest

    def begin_removal(self) -> None:
        self._removing += 1

    def end_removal(self) -> None:
        self._removing -= 1

    def remove(self, key: bytes, sequence: int) -> None:
        """Removes what is kept of one ending, in the open batch. Does nothing if it is gone. Raises StorageFailed."""
        data = self._staged(state_key(key, sequence))
        if data is None:
            return
        state = decode_state(data) or UNREADABLE
        self._replica.put(head_key(key, sequence), None)
        self._replica.put(state_key(key, sequence), None)
        self._add(-1, -state.size)
        record = self._replica.record(key) if state.is_in_place else None
        if record is not None and record.snapshot is None and record.sequence == sequence:
            flags = record.flags & ~DocumentFlag.SNAPSHOT_SEPARATE
            bare = replace(record, flags=flags, snapshot=b"", snapshot_bytes=0)
            self._replica.replace_state(key, record, bare)

    # --- totals

    def totals(self) -> tuple[bytes, bytes]:
        """The entry that lets the next start go on: its key and its value."""
        return ENDED_TOTALS, encode_totals(self.count, self.bytes, self.ran)

    @property
    def are_totals_due(self) -> bool:
        """Whether the time for which this store has run is to be written, although nothing has ended meanwhile."""
        return self.count > 0 and self.ran - self._saved >= SAVE_SECONDS

    def totals_saved(self) -> None:
        self._saved = self.ran

    def forget(self) -> None:
        """Drops what is not on disk. While that cannot be read, the totals are those before the open batch."""
        count, size = self.count - self._open_count, self.bytes - self._open_bytes
        try:
            self._read_totals()
        except StorageFailed:
            self.count, self.bytes = count, size
        self._open_count = self._open_bytes = 0

    def _read_totals(self) -> None:
        totals = decode_totals(self._replica.kv.get(ENDED_TOTALS))
        if totals is None:
            heads = self._replica.kv.scan(ENDED, after(ENDED))
            sizes = [head.size for each in heads if (head := decode_head(*each)) is not None]
            self.count, self.bytes = len(sizes), sum(sizes)
        else:
            self.count, self.bytes, ran = totals
            self._ran, self._started = max(ran, self.ran), self._steady()
        self._saved, self._next, self._cursor = self.ran, 0.0, 0
        self._are_totals_new = False

    def _keep(
        self,
        key: bytes,
        record: Record,
        sequence: int,
        origin: str,
        size: int,
        packed: bytes | None,
    ) -> None:
        ran = self.ran
        value = None if record.is_value_outdated else record.value
        state = EndedState(ran, size, record.snapshot, record.delta_log, value, packed)
        head = encode_head(record.incarnation, self._now(), ran, origin, size, record.expires_at)
        extra = self._replica.open_batch.extra
        extra[head_key(key, sequence)] = head
        extra[state_key(key, sequence)] = encode_state(state)
        self._next = min(self._next, ran + self.bounds.seconds)
        self._add(1, size)

    def _add(self, count: int, size: int) -> None:
        self.count += count
        self.bytes += size
        self._open_count += count
        self._open_bytes += size
        self._are_totals_new = True

    def _staged(self, entry: bytes) -> bytes | None:
        """An entry, with the changes of the open batch. Those of later ones are in the database."""
        staged = self._replica.open_batch.extra
        return staged[entry] if entry in staged else self._replica.kv.get(entry)


def _size(key: bytes, record: Record) -> int:
    value = b"" if record.is_value_outdated else record.value or b""
    return state_bytes(record) + len(value) + 2 * len(key) + OVERHEAD_BYTES
