"""Computes a document's record after an update: its state, and its value if no engine is needed to read it.

The values of small documents of root maps, arrays and texts are read here, and exactly. The engine reads all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from peatnode.documents.content.document_sums import DocumentSums, Summed
from peatnode.documents.json import root_lists, root_maps
from peatnode.documents.json.value import build, dump
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.replica.flags import DocumentFlag, flags_of
from peatnode.documents.replica.record import EMPTY_STATE, Record, ended_vector_after
from peatnode.documents.replica.root_maps_cache import RootMapsCache
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.update import Update, encode_update

ROOT_MAPS_BYTES = 16 * 1024
"""The largest snapshot that is read without the engine. What was read is carried forward while the snapshot grows."""
MAX_DELTAS = 200
"""A delta log of more updates is compacted, however small they are."""
MIN_DELTA_BYTES = 2048
"""A smaller delta log is not worth a compaction."""

_BEYOND_READING = DocumentFlag.NEEDS_ENGINE | DocumentFlag.HAS_OTHER_ROOTS
"""Flags of documents that only an engine can read."""


class RecordUpdater:
    """Applies updates to records, and caches the root maps of recently changed documents."""

    def __init__(
        self, state: Callable[[bytes, Record], tuple[bytes, ...]], sums: DocumentSums
    ) -> None:
        """`state(key, record)` returns the updates, in causal order, that make up the record's state."""
        self._state = state
        self._sums = sums
        self._maps = RootMapsCache()

    def apply(
        self,
        sequence: int,
        key: bytes,
        previous: Record | None,
        incarnation: int,
        update: Update,
        encoded: bytes,
        value: bytes | None,
    ) -> Record:
        """The record after `update`, which belongs to the incarnation of `previous` or to a later one.

        `encoded` is `update` as bytes. If `value` is None, the value is read without an engine, or the record gets
        the flag VALUE_OUTDATED.
        """
        if previous is None or previous.incarnation != incarnation:
            previous = _new_record(incarnation, previous)
        is_first = not previous.state_vector and previous.delete_set.is_empty
        snapshot, snapshot_bytes = previous.snapshot, previous.snapshot_bytes
        delta_log: tuple[bytes, ...] = ()
        if is_first:
            snapshot, snapshot_bytes = encoded, len(encoded)
        else:
            delta_log = (*previous.delta_log, encoded)
        flags = previous.flags | flags_of(update)
        before = maps = None
        if not flags & _BEYOND_READING:
            is_small = _is_small(flags, snapshot_bytes, len(encoded))
            if value is None or not is_first:
                known = None if is_first else previous
                before = None if known is None else self._maps.get(key, known)
                maps = self._maps_after(key, known, before, update, flags, value is None, is_small)
            if value is None:
                if maps is not None:
                    value = dump(build(maps.shape()))
                elif is_small:
                    flags |= DocumentFlag.NEEDS_ENGINE
            if is_small and is_log_long(delta_log, snapshot_bytes):
                snapshot = compacted((*self._state(key, previous), encoded))
                snapshot_bytes, delta_log = len(snapshot), ()
        expires_at = previous.expires_at
        if flags & DocumentFlag.HAS_EXPIRY:
            expires_at = (maps or self._controls(key, previous, encoded)).expires_at()
        updated = _record_after(
            previous,
            update,
            sequence,
            flags,
            expires_at,
            snapshot,
            snapshot_bytes,
            delta_log,
            value,
            self._sum_after(key, previous, update, sequence, is_first, before),
        )
        self._maps.put(key, updated, maps)
        return updated

    def _sum_after(
        self,
        key: bytes,
        previous: Record,
        update: Update,
        sequence: int,
        is_first: bool,
        maps: root_maps.RootMaps | None,
    ) -> int:
        if is_first:
            return self._sums.of_state(key, update)
        before = Summed(
            key,
            previous.sequence,
            previous.content_sum,
            previous.state_vector,
            partial(self._state, key, previous),
        )
        return self._sums.after(before, update, sequence, maps)

    def _maps_after(
        self,
        key: bytes,
        known: Record | None,
        before: root_maps.RootMaps | None,
        update: Update,
        flags: int,
        is_needed: bool,
        is_small: bool,
    ) -> root_maps.RootMaps | None:
        """The root maps after `update`, or None. Only if they are needed and small, they are read from all items."""
        if known is None:
            return _read(flags, update) if is_needed and is_small else None
        maps = None if before is None else _advance(flags, before, update)
        if maps is None and is_needed and is_small:
            maps = _read(flags, merge_updates((*self._state(key, known), update), STATE_LIMITS))
        return maps

    def _controls(self, key: bytes, known: Record, encoded: bytes) -> root_maps.RootMaps:
        states = (*self._state(key, known), encoded)
        controls = root_maps.read(
            merge_updates(states, STATE_LIMITS), frozenset((root_maps.CONTROL,))
        )
        assert controls is not None
        return controls

    def maps(self, key: bytes, record: Record) -> root_maps.RootMaps | None:
        """The document's root maps, if no engine is needed to read it, and it is small or was read before."""
        if record.flags & _BEYOND_READING:
            return None
        maps = self._maps.get(key, record)
        if maps is None:
            log_bytes = sum(map(len, record.delta_log))
            if not _is_small(record.flags, record.snapshot_bytes, log_bytes):
                return None
            state = merge_updates(self._state(key, record), STATE_LIMITS)
            maps = _read(record.flags, state)
            self._maps.put(key, record, maps)
        return maps

    def drop(self, key: bytes) -> None:
        """Drops what is cached of a document, whose state is another one now under the same sequence."""
        self._maps.drop(key)
        self._sums.drop(key)

    def forget(self) -> None:
        """Empties the caches, because they hold what is of records that were discarded."""
        self._maps.clear()
        self._sums.clear()


def _is_small(flags: int, snapshot_bytes: int, log_bytes: int) -> bool:
    """Whether a state may be read as a whole without the engine. A long log with lists may hold too many items."""
    return snapshot_bytes <= ROOT_MAPS_BYTES and (
        not flags & DocumentFlag.HAS_LISTS or log_bytes <= ROOT_MAPS_BYTES
    )


def _read(flags: int, state: Update) -> root_maps.RootMaps | None:
    return root_lists.read(state) if flags & DocumentFlag.HAS_LISTS else root_maps.read(state)


def _advance(flags: int, maps: root_maps.RootMaps, update: Update) -> root_maps.RootMaps | None:
    if flags & DocumentFlag.HAS_LISTS:
        return root_lists.advance(maps, update)
    return root_maps.advance(maps, update)


def readable_value(state: Update, size: int) -> bytes:
    """The JSON of a whole document of so many bytes; empty if only an engine can read it."""
    flags = flags_of(state)
    if flags & _BEYOND_READING or not _is_small(flags, size, 0):
        return b""
    maps = _read(flags, state)
    return b"" if maps is None else dump(build(maps.shape()))


def whole_value(state: Update) -> bytes:
    """The JSON of a whole document of any size; empty if only an engine can read it. May take long."""
    flags = flags_of(state)
    if not flags & DocumentFlag.HAS_VALUE:
        return b"{}"
    maps = None if flags & _BEYOND_READING else _read(flags, state)
    return b"" if maps is None else dump(build(maps.shape()))


def _new_record(incarnation: int, ended: Record | None) -> Record:
    """The empty record of a new incarnation, which follows the record `ended` if there is one."""
    return Record(
        incarnation,
        0,
        0.0,
        {},
        EMPTY_DELETE_SET,
        0,
        EMPTY_STATE,
        len(EMPTY_STATE),
        (),
        b"{}",
        ended_vector_after(ended),
    )


def _record_after(
    previous: Record,
    update: Update,
    sequence: int,
    flags: int,
    expires_at: float,
    snapshot: bytes | None,
    snapshot_bytes: int,
    delta_log: tuple[bytes, ...],
    value: bytes | None,
    content_sum: int,
) -> Record:
    """The record with the state vector and the delete set after `update`; its value is outdated if `value` is None."""
    reached = {client: structs[-1].end for client, structs in update.structs.items()}
    clocks = previous.clocks.after(reached, update.delete_set)
    if value is None and not flags & DocumentFlag.HAS_VALUE:
        value = b"{}"
    if value is None:
        flags |= DocumentFlag.VALUE_OUTDATED
    else:
        flags &= ~DocumentFlag.VALUE_OUTDATED
    return Record(
        previous.incarnation,
        flags,
        expires_at,
        clocks.vector,
        clocks.deleted,
        sequence,
        snapshot,
        snapshot_bytes,
        delta_log,
        previous.value if value is None else value,
        clocks.ended,
        content_sum,
    )


def compacted(states: Sequence[bytes]) -> bytes:
    """The updates merged and compacted into one. May run in a thread."""
    return encode_update(compact(merge_updates(states, STATE_LIMITS)))


def is_log_long(delta_log: tuple[bytes, ...], snapshot_bytes: int) -> bool:
    """Whether the delta log is long enough, in updates or bytes, to be compacted."""
    return len(delta_log) > MAX_DELTAS or sum(map(len, delta_log)) > max(
        MIN_DELTA_BYTES, snapshot_bytes // 2
    )
