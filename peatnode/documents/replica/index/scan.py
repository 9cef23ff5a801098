"""The index as its entries on disk say it: slow for many documents, and always right.

Raises what the storage raises.
"""

from __future__ import annotations

from collections import Counter

from peatnode.documents.replica.index.counts import Counts
from peatnode.documents.replica.index.hash_tree import (
    TREE_KEY_BYTES,
    Leaves,
    bucket_of,
    bucket_start,
    digest_of,
)
from peatnode.documents.replica.keyspace import RECORD, TOMBSTONE, TREE, KeyValue, after
from peatnode.documents.replica.record import is_of_tombstone, tree_entry_fingerprint
from peatnode.model.tree import BUCKETS


def scan_index(kv: KeyValue) -> tuple[Leaves, Counts]:
    """The hashes of all buckets, and the counts, from all entries of the tree index."""
    leaves = Leaves.empty()
    tally: Counter[bytes] = Counter()
    tombstones = 0
    place, leaf = b"", 0
    for entry, data in kv.scan(TREE, after(TREE)):
        if entry[:3] != place:  # entries of one bucket lie together
            if leaf:
                leaves.set(bucket_of(place[1:]), leaf)
            place, leaf = entry[:3], 0
        key = entry[1 + TREE_KEY_BYTES :]
        leaf ^= digest_of(key, tree_entry_fingerprint(data))
        if is_of_tombstone(data):
            tombstones += 1
        else:
            tally[key.partition(b"\0")[0]] += 1
    if leaf:
        leaves.set(bucket_of(place[1:]), leaf)
    return leaves, _counts(tally, tombstones)


def scan_bucket(kv: KeyValue, bucket: int) -> int:
    """The hash of one bucket as a number, from its entries of the tree index."""
    start = TREE + bucket_start(bucket)
    end = after(TREE) if bucket == BUCKETS - 1 else TREE + bucket_start(bucket + 1)
    leaf = 0
    for entry, data in kv.scan(start, end):
        leaf ^= digest_of(entry[1 + TREE_KEY_BYTES :], tree_entry_fingerprint(data))
    return leaf


def count_records(kv: KeyValue) -> Counts:
    """The counts of the records themselves. It reads all of them."""
    tally = Counter(entry[1:].partition(b"\0")[0] for entry, _ in kv.scan(RECORD, after(RECORD)))
    return _counts(tally, sum(1 for _ in kv.scan(TOMBSTONE, after(TOMBSTONE))))


def _counts(tally: Counter[bytes], tombstones: int) -> Counts:
    return Counts({collection.decode(): found for collection, found in tally.items()}, tombstones)
