"""Loads the index at a start: from the checkpoint and the feed after it, or else from all entries on disk.

The feed does not say what a document was hashed to before a change. So the hash of each bucket with a change is
computed anew from the entries of that bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.checkpoint import Checkpoint, decode_checkpoint
from peatnode.documents.replica.index.counts import Counts
from peatnode.documents.replica.index.hash_tree import HashTree, Leaves, bucket_of, tree_key_of
from peatnode.documents.replica.index.scan import count_records, scan_bucket, scan_index
from peatnode.documents.replica.keyspace import (
    CHECKPOINT,
    FEED,
    FLUSHED,
    SEQUENCE,
    KeyValue,
    after,
    number,
    stored_number,
)
from peatnode.documents.replica.record import Existence, decode_feed_entry
from peatnode.errors import EntriesDiffer
from peatnode.model.states import ChangeAction
from peatnode.model.tree import BUCKETS

SEEK_ENTRIES = 4
"""Entries that a scan reads in the time in which it finds the first one."""
COMPARED_ENTRIES = 10_000
"""Up to so many, all entries are compared with the checkpoint and with the records. That takes 3 µs each."""


@dataclass(slots=True)
class LoadedIndex:
    """The index at the newest change on disk."""

    tree: HashTree
    counts: Counts
    sequence: int
    """The sequence of the newest change on disk."""
    oldest_sequence: int
    """The sequence of the oldest change that the feed keeps."""
    checkpoint_sequence: int
    """The sequence of the checkpoint on disk; 0 if there is none that can be used."""
    fault: str
    """Why the checkpoint on disk is wrong; empty if it is right, or if there is none."""


def load_index(
    kv: KeyValue, sample: Iterable[int] = (), compared_entries: int = COMPARED_ENTRIES
) -> LoadedIndex:
    """Loads the index. `sample`: buckets that are compared with their entries on disk, where not all of them are.

    A wrong checkpoint is not used. Raises EntriesDiffer if the database has lost changes or entries.
    """
    sequence = stored_number(kv, SEQUENCE)
    first = next(kv.scan(FEED, after(FEED)), None)
    oldest = int.from_bytes(first[0][1:], "big") if first else sequence + 1
    fault, checkpoint = "", None
    try:
        checkpoint = _stored_checkpoint(kv)
    except ValueError as error:
        fault = str(error)
    changes = _changes_to_replay(kv, checkpoint.sequence if checkpoint else None, oldest, sequence)
    if checkpoint is None:
        for _ in changes:
            pass
        leaves, counts = _scan_compared(kv)
    else:
        leaves, counts, fault = _replayed(kv, checkpoint, changes, sample, compared_entries)
    counts.order()
    kept = 0 if fault or checkpoint is None else checkpoint.sequence
    return LoadedIndex(HashTree.of(leaves), counts, sequence, oldest, kept, fault)


def _stored_checkpoint(kv: KeyValue) -> Checkpoint | None:
    """Raises ValueError for a malformed checkpoint."""
    data = kv.get(CHECKPOINT)
    return None if data is None else decode_checkpoint(data)


# --- replay


def _changes_to_replay(
    kv: KeyValue, checkpoint: int | None, oldest: int, newest: int
) -> Iterator[tuple[int, bytes]]:
    """(sequence, change) of the changes after the checkpoint with that sequence; None of them without one.

    It also reads what the logs may have lost. Raises EntriesDiffer if a change is missing.
    """
    flushed = stored_number(kv, FLUSHED)
    known = max(flushed, checkpoint or 0)
    if known > newest:  # both are written after the changes that they name
        raise _missing(newest + 1, known)
    first = oldest
    if checkpoint is not None:
        if oldest > checkpoint + 1:
            raise _missing(checkpoint + 1, oldest - 1)
        first = max(oldest, min(checkpoint, flushed) + 1)
    for sequence, change in _changes_from(kv, first, newest):
        if checkpoint is not None and sequence > checkpoint:
            yield sequence, change


def _changes_from(kv: KeyValue, first: int, newest: int) -> Iterator[tuple[int, bytes]]:
    """(sequence, change) of all changes from `first` on. Raises EntriesDiffer if one up to `newest` is missing."""
    expected = first
    for entry, data in kv.scan(FEED + number(first), after(FEED)):
        found = int.from_bytes(entry[1:], "big")
        if found != expected:
            raise _missing(expected, found - 1)
        yield found, data
        expected += 1
    if expected <= newest:
        raise _missing(expected, newest)
    if expected > newest + 1:
        raise EntriesDiffer(f"the newest change is {expected - 1}, and the store says {newest}")


def _replayed(
    kv: KeyValue,
    checkpoint: Checkpoint,
    changes: Iterator[tuple[int, bytes]],
    sample: Iterable[int],
    compared_entries: int,
) -> tuple[Leaves, Counts, str]:
    """The index after the changes, and the fault of the checkpoint, if the entries on disk show one."""
    leaves, counts = checkpoint.leaves, checkpoint.counts
    changed = {_replay(counts, sequence, change) for sequence, change in changes}
    entries = counts.documents + counts.tombstones
    if entries > compared_entries:
        if len(changed) * (SEEK_ENTRIES + entries / BUCKETS) > entries:
            return _compared_counts(kv, counts)
        _rehash(kv, leaves, changed)
        if all(scan_bucket(kv, bucket) == leaves.number(bucket) for bucket in sample):
            return leaves, counts, ""
    else:
        _rehash(kv, leaves, changed)
    scanned, scanned_counts = _scan_compared(kv)
    if scanned != leaves:
        return scanned, scanned_counts, "its hashes are not those of the entries"
    return scanned, scanned_counts, _fault_of_counts(counts, scanned_counts)


def _replay(counts: Counts, sequence: int, data: bytes) -> int:
    """Counts a change, and returns its bucket. Raises EntriesDiffer."""
    try:
        change = decode_feed_entry(data)
    except ValueError as error:
        raise EntriesDiffer(f"the change {sequence} is malformed: {error}") from error
    is_deleted = change.action is ChangeAction.DELETED
    counts.add(
        change.collection,
        (not is_deleted) - (change.before is Existence.LIVE),
        is_deleted - (change.before is Existence.TOMBSTONE),
    )
    return bucket_of(tree_key_of(document_key(change.collection, change.id)))


def _rehash(kv: KeyValue, leaves: Leaves, buckets: Iterable[int]) -> None:
    for bucket in sorted(buckets):
        leaves.set(bucket, scan_bucket(kv, bucket))


# --- comparison


def _compared_counts(kv: KeyValue, counts: Counts) -> tuple[Leaves, Counts, str]:
    """The index as its entries say it, where that is cheaper than hashing each bucket with a change."""
    leaves, scanned = scan_index(kv)
    fault = _fault_of_counts(counts, scanned)
    if fault:
        _compare_with_records(kv, scanned)
    return leaves, scanned, fault


def _fault_of_counts(counts: Counts, scanned: Counts) -> str:
    return "" if counts == scanned else "its counts are not those of the entries"


def _scan_compared(kv: KeyValue) -> tuple[Leaves, Counts]:
    leaves, counts = scan_index(kv)
    _compare_with_records(kv, counts)
    return leaves, counts


def _compare_with_records(kv: KeyValue, counts: Counts) -> None:
    """Raises EntriesDiffer if the index has more or fewer entries than there are records."""
    records = count_records(kv)
    if counts != records:
        raise EntriesDiffer(
            f"the index has {_sums(counts)}, and the records are {_sums(records)}"
            " (documents and tombstones of all collections)"
        )


def _sums(counts: Counts) -> str:
    return f"{counts.documents} and {counts.tombstones}"


def _missing(first: int, last: int) -> EntriesDiffer:
    return EntriesDiffer(f"the changes {first} to {last} are missing")
