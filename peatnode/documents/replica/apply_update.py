"""How an update changes a document's record: its state, and its value where no engine is needed to read it.

Small documents that consist of root maps are read here, exactly. The engine reads all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from peatnode.documents.json import root_maps
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
"""The largest snapshot that is read without the engine."""
MAX_DELTAS = 200
"""A longer delta log is compacted, however small its updates are."""
MIN_DELTA_BYTES = 2048
"""A smaller delta log is not worth a compaction."""


class RecordUpdater:
    """Applies updates to records. Caches the root maps of the documents it handled last."""

    def __init__(self, state: Callable[[bytes, Record], tuple[bytes, ...]]) -> None:
        """`state(key, record)` returns the updates, in causal order, that make up the record's state."""
        self._state = state
        self._maps = RootMapsCache()

    def apply(
        self,
        sequence: int,
        key: bytes,
        former: Record | None,
        incarnation: int,
        update: Update,
        encoded: bytes,
        value: bytes | None,
    ) -> Record:
        """The record after `update`, in the same incarnation as `former` or in a later one.

        `encoded` is `update` as bytes. Where `value` is None, it is read without an engine, or the record is
        flagged VALUE_OUTDATED.
        """
        is_same = former is not None and former.incarnation == incarnation
        known = former if is_same else None
        is_first = known is None or (not known.state_vector and known.delete_set.is_empty)
        if known is None:
            ended_vector = ended_vector_after(former)
            known = Record(
                incarnation,
                0,
                0.0,
                {},
                EMPTY_DELETE_SET,
                0,
                EMPTY_STATE,
                2,
                (),
                b"{}",
                ended_vector,
            )
        vector = dict(known.state_vector)
        for client, structs in update.structs.items():
            vector[client] = structs[-1].end
        flags = known.flags | flags_of(update)
        snapshot, delta_log = (
            (encoded, ()) if is_first else (known.snapshot, (*known.delta_log, encoded))
        )
        snapshot_bytes = len(encoded) if is_first else known.snapshot_bytes
        maps = None
        if (
            not flags & (DocumentFlag.NEEDS_ENGINE | DocumentFlag.HAS_OTHER_ROOTS)
            and snapshot_bytes <= ROOT_MAPS_BYTES
        ):
            if value is None or not is_first:
                maps = self._maps_after(key, known, update, is_first, value is None)
            if maps is None and value is None:
                flags |= DocumentFlag.NEEDS_ENGINE
            elif value is None and maps is not None:
                value = dump(build(maps.shape()))
            if is_log_long(delta_log, snapshot_bytes):
                snapshot = compacted((*self._state(key, known), encoded))
                snapshot_bytes, delta_log = len(snapshot), ()
        expires_at = known.expires_at
        if flags & DocumentFlag.HAS_EXPIRY:
            controls = maps or self._controls(key, known, encoded)
            expires_at = controls.expires_at()
        if value is None and not flags & DocumentFlag.HAS_VALUE:
            value = b"{}"
        flags = (
            flags | DocumentFlag.VALUE_OUTDATED
            if value is None
            else flags & ~DocumentFlag.VALUE_OUTDATED
        )
        updated = Record(
            incarnation,
            flags,
            expires_at,
            vector,
            known.delete_set.union(update.delete_set),
            sequence,
            snapshot,
            snapshot_bytes,
            delta_log,
            known.value if value is None else value,
            known.ended_vector,
        )
        self._maps.put(key, updated, maps)
        return updated

    def _maps_after(
        self, key: bytes, known: Record, update: Update, is_first: bool, is_needed: bool
    ) -> root_maps.RootMaps | None:
        """The root maps after `update`. Unless `is_needed`, only if they are cheap to get."""
        if is_first:
            return root_maps.read(update)
        before = self._maps.get(key, known)
        maps = None if before is None else root_maps.advance(before, update)
        if maps is None and is_needed:
            maps = root_maps.read(merge_updates((*self._state(key, known), update), STATE_LIMITS))
        return maps

    def _controls(self, key: bytes, known: Record, encoded: bytes) -> root_maps.RootMaps:
        states = (*self._state(key, known), encoded)
        controls = root_maps.read(
            merge_updates(states, STATE_LIMITS), frozenset((root_maps.CONTROL,))
        )
        assert controls is not None
        return controls

    def maps(self, key: bytes, record: Record) -> root_maps.RootMaps | None:
        """The document's root maps, if it is small and no engine is needed to read it."""
        if (
            record.flags & (DocumentFlag.NEEDS_ENGINE | DocumentFlag.HAS_OTHER_ROOTS)
            or record.snapshot_bytes > ROOT_MAPS_BYTES
        ):
            return None
        maps = self._maps.get(key, record)
        if maps is None:
            maps = root_maps.read(merge_updates(self._state(key, record), STATE_LIMITS))
            self._maps.put(key, record, maps)
        return maps

    def forget(self) -> None:
        """Drops what was cached of records that were discarded."""
        self._maps.clear()


def compacted(states: Sequence[bytes]) -> bytes:
    """One state made of several updates. May run in a thread."""
    return encode_update(compact(merge_updates(states, STATE_LIMITS)))


def state_bytes(record: Record) -> int:
    """Size of the snapshot and the delta log together."""
    return record.snapshot_bytes + sum(map(len, record.delta_log))


def is_log_long(delta_log: tuple[bytes, ...], snapshot_bytes: int) -> bool:
    """Whether the delta log is long enough, in updates or bytes, to be compacted."""
    return len(delta_log) > MAX_DELTAS or sum(map(len, delta_log)) > max(
        MIN_DELTA_BYTES, snapshot_bytes // 2
    )
