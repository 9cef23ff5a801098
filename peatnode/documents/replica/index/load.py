"""Loads the index at a start: from the checkpoint and the feed after it, or else from all entries on disk.

The feed does not say what a document was hashed to before a change. So the hash of each bucket with a change is
computed anew from the entries of that bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.checkpoint import Checkpoint, decode_checkpoint
from peatnode.documents.replica.index.counts import Counts, add_counts
from peatnode.documents.replica.index.hash_tree import HashTree, Leaves, bucket_of, tree_key_of
from peatnode.documents.replica.index.scan import count_records, scan_bucket, scan_index
from peatnode.documents.replica.keyspace import (
    CHECKPOINT,
    FEED,
    SEQUENCE,
    KeyValue,
    after,
    number,
)
from peatnode.documents.replica.record import Existence, FeedEntry, decode_feed_entry
from peatnode.errors import EntriesDiffer
from peatnode.model.states import ChangeAction
from peatnode.model.tree import BUCKETS

SEEK_ENTRIES = 4
"""Entries that a scan reads in the time in which it finds the first one."""


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


def load_index(kv: KeyValue, sample: Iterable[int] = ()) -> LoadedIndex:
    """Loads the index. `sample`: buckets that are compared with their entries on disk.

    A wrong checkpoint is not used. Raises EntriesDiffer if the database has lost changes or entries.
    """
    stored = kv.get(SEQUENCE)
    sequence = int.from_bytes(stored, "big") if stored else 0
    first = next(kv.scan(FEED, after(FEED)), None)
    oldest = int.from_bytes(first[0][1:], "big") if first else sequence + 1
    fault, checkpoint = "", None
    try:
        checkpoint = _stored_checkpoint(kv, sequence)
    except ValueError as error:
        fault = str(error)
    if checkpoint is None:
        for _ in _changes_from(kv, oldest, sequence):
            pass
        leaves, counts = scan_index(kv)
        _compare_with_records(kv, counts)
    else:
        leaves, counts, fault = _replayed(kv, checkpoint, oldest, sequence, sample)
    kept = 0 if fault or checkpoint is None else checkpoint.sequence
    return LoadedIndex(HashTree.of(leaves), counts, sequence, oldest, kept, fault)


def _stored_checkpoint(kv: KeyValue, sequence: int) -> Checkpoint | None:
    """Raises ValueError for a malformed checkpoint, EntriesDiffer if changes before it are lost."""
    data = kv.get(CHECKPOINT)
    if data is None:
        return None
    checkpoint = decode_checkpoint(data)
    if checkpoint.sequence > sequence:  # it was written after them
        raise _missing(sequence + 1, checkpoint.sequence)
    return checkpoint


def _replayed(
    kv: KeyValue, checkpoint: Checkpoint, oldest: int, sequence: int, sample: Iterable[int]
) -> tuple[Leaves, Counts, str]:
    """The index after the feed, and the fault of the checkpoint, if the entries on disk show one."""
    leaves, counts = checkpoint.leaves, checkpoint.counts
    # what a log held before a stop is in sorted files, and was checked when the store was opened before
    first = (
        checkpoint.sequence + 1 if checkpoint.is_of_stop else min(oldest, checkpoint.sequence + 1)
    )
    changed: set[int] = set()
    for at, data in _changes_from(kv, first, sequence):
        if at > checkpoint.sequence:
            changed.add(_replay(counts, decode_feed_entry(data)))
    if _is_scan_cheaper(len(changed), counts):
        leaves, scanned = scan_index(kv)
        if scanned == counts:
            return leaves, counts, ""
        _compare_with_records(kv, scanned)
        return leaves, scanned, "its counts are not those of the entries"
    for bucket in sorted(changed):
        leaves.set(bucket, scan_bucket(kv, bucket))
    for bucket in sample:
        if scan_bucket(kv, bucket) != leaves.number(bucket):
            leaves, counts = scan_index(kv)
            _compare_with_records(kv, counts)
            return leaves, counts, f"its hash of bucket {bucket} is not that of the entries"
    return leaves, counts, ""


def _is_scan_cheaper(changed: int, counts: Counts) -> bool:
    entries = sum(found.documents + found.tombstones for found in counts.values())
    return bool(changed * (SEEK_ENTRIES + entries / BUCKETS) > entries)


def _replay(counts: Counts, change: FeedEntry) -> int:
    """Counts a change, and returns its bucket."""
    is_deleted = change.action is ChangeAction.DELETED
    add_counts(
        counts,
        change.collection,
        (not is_deleted) - (change.before is Existence.LIVE),
        is_deleted - (change.before is Existence.TOMBSTONE),
    )
    return bucket_of(tree_key_of(document_key(change.collection, change.id)))


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


def _missing(first: int, last: int) -> EntriesDiffer:
    return EntriesDiffer(f"the changes {first} to {last} are missing")


def _compare_with_records(kv: KeyValue, counts: Counts) -> None:
    """Raises EntriesDiffer if the index has more or fewer entries than there are records."""
    records = count_records(kv)
    if counts != records:
        raise EntriesDiffer(
            f"the index has {_sums(counts)}, and the records are {_sums(records)}"
            " (documents and tombstones of all collections)"
        )


def _sums(counts: Counts) -> str:
    documents = sum(found.documents for found in counts.values())
    tombstones = sum(found.tombstones for found in counts.values())
    return f"{documents} and {tombstones}"
