"""Checkpoints: the hash tree and the counts as they were at one sequence, in the bytes that the store keeps.

A start reads the checkpoint and replays the feed after it, so that its time does not grow with the number of
documents.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import compress

import msgpack

from peatnode.documents.replica.index.counts import Counts
from peatnode.documents.replica.index.hash_tree import Leaves
from peatnode.model.tree import BUCKETS

MAX_COLLECTIONS = 100_000
"""A replica with more collections that have documents has no checkpoint: copying and writing their counts (1 ms and
3 MB) would delay requests."""
PACKED_TOGETHER = 1000
"""Counts that are packed in one step, so that a thread that packs them lets others run."""

_VERSION = 1
_DOMAIN = b"peatnode checkpoint 1\0"
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The index of all documents after the change with the number `sequence`."""

    sequence: int
    leaves: Leaves
    counts: Counts


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """At most 18 bytes a bucket, and about 20 a collection with documents. It may run in a thread."""
    high, low = checkpoint.leaves.high, checkpoint.leaves.low
    is_used = [bool(upper or lower) for upper, lower in zip(high, low, strict=True)]
    fields = (
        _VERSION,
        checkpoint.sequence,
        _to_bytes(array("H", compress(range(BUCKETS), is_used))),
        _to_bytes(array("Q", compress(high, is_used))),
        _to_bytes(array("Q", compress(low, is_used))),
    )
    packer = msgpack.Packer()
    parts = [packer.pack_array_header(len(fields) + 1), *map(packer.pack, fields)]
    parts += _packed_counts(packer, checkpoint.counts)
    body = b"".join(parts)
    return _digest(body) + body


def _packed_counts(packer: msgpack.Packer, counts: Counts) -> Iterator[bytes]:
    """A list of (name, documents, tombstones). The tombstones of all collections stand under the empty name."""
    entries = [(name, number, 0) for name, number in counts.by_collection.items()]
    entries.append(("", 0, counts.tombstones))
    yield packer.pack_array_header(len(entries))
    for at in range(0, len(entries), PACKED_TOGETHER):
        yield b"".join(map(packer.pack, entries[at : at + PACKED_TOGETHER]))


def decode_checkpoint(data: bytes) -> Checkpoint:
    """Raises ValueError for bytes that are not a whole checkpoint."""
    body = data[_DIGEST_BYTES:]
    if _digest(body) != data[:_DIGEST_BYTES]:
        raise ValueError("its digest is wrong")
    try:
        version, sequence, buckets, high, low, counts = msgpack.unpackb(body)
        if version != _VERSION:
            raise ValueError(f"version {version} is unknown")
        return Checkpoint(
            sequence,
            _leaves(_numbers("H", buckets), _numbers("Q", high), _numbers("Q", low)),
            Counts(
                {name: documents for name, documents, _ in counts},
                sum(ended for *_, ended in counts),
            ),
        )
    except (ValueError, TypeError, IndexError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"it is malformed: {error}") from error


def _leaves(buckets: array[int], high: array[int], low: array[int]) -> Leaves:
    leaves = Leaves.empty()
    for bucket, upper, lower in zip(buckets, high, low, strict=True):
        leaves.high[bucket], leaves.low[bucket] = upper, lower
    return leaves


def _digest(body: bytes) -> bytes:
    return sha256(_DOMAIN + body).digest()[:_DIGEST_BYTES]


def _to_bytes(numbers: array[int]) -> bytes:
    return _little_endian(numbers).tobytes()


def _numbers(kind: str, data: bytes) -> array[int]:
    return _little_endian(array(kind, data))


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
