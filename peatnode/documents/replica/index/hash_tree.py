"""The hash tree of fingerprints: two replicas whose roots are equal hold the same documents.

A hash of its key assigns each document to one of 65,536 buckets, the leaves of a tree with 16 children a node. A
node's hash is the XOR of the digests of all documents below it, so that a change costs one XOR on each level.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from hashlib import sha256

from peatnode.model.tree import BUCKETS, FAN_OUT, HASH_BYTES, LEVELS

TREE_KEY_BYTES = 8

NO_DIGEST = 0
"""Digest of a document that does not exist. An XOR with it changes no hash."""

_TREE_KEY_DOMAIN = b"peatnode place 1\0"
_DIGEST_DOMAIN = b"peatnode tree 1\0"
_LOW = (1 << 64) - 1


def tree_key_of(key: bytes) -> bytes:
    """The position of a document in the tree, 8 bytes. The first 16 bits are the bucket."""
    return sha256(_TREE_KEY_DOMAIN + key).digest()[:TREE_KEY_BYTES]


def bucket_of(tree_key: bytes) -> int:
    return tree_key[0] << 8 | tree_key[1]


def bucket_start(bucket: int) -> bytes:
    """The lowest tree key in a bucket."""
    return bucket.to_bytes(2, "big") + bytes(TREE_KEY_BYTES - 2)


def digest_of(key: bytes, fingerprint: bytes) -> int:
    """The digest of a document: its part in the hashes of all nodes above it."""
    return int.from_bytes(sha256(_DIGEST_DOMAIN + fingerprint + key).digest()[:HASH_BYTES], "big")


@dataclass(frozen=True, slots=True)
class Leaves:
    """The hashes of all buckets at one moment, which determine those of all other nodes."""

    high: array[int]
    """The upper 64 bits of each bucket's hash."""
    low: array[int]
    """The lower 64 bits of each bucket's hash."""

    @staticmethod
    def empty() -> Leaves:
        return Leaves(array("Q", bytes(8 * BUCKETS)), array("Q", bytes(8 * BUCKETS)))

    def set(self, bucket: int, number: int) -> None:
        self.high[bucket], self.low[bucket] = number >> 64, number & _LOW

    def number(self, bucket: int) -> int:
        return self.high[bucket] << 64 | self.low[bucket]


class HashTree:
    """The hashes of all nodes, in two flat arrays of about 1.1 MB for any number of documents."""

    __slots__ = ("_high", "_low", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = [
            sum(FAN_OUT**n for n in range(level)) for level in range(LEVELS + 1)
        ]
        nodes = self._starts[LEVELS] + BUCKETS
        self._high = array("Q", bytes(8 * nodes))
        self._low = array("Q", bytes(8 * nodes))

    @classmethod
    def of(cls, leaves: Leaves) -> HashTree:
        """The tree above these leaves."""
        tree = cls()
        high, low = leaves.high, leaves.low
        for level in range(LEVELS, -1, -1):
            start = tree._starts[level]
            tree._high[start : start + len(high)] = high
            tree._low[start : start + len(low)] = low
            high, low = _level_above(high), _level_above(low)
        return tree

    def leaves(self) -> Leaves:
        """A copy of the hashes of all buckets, 1 MiB."""
        start = self._starts[LEVELS]
        return Leaves(self._high[start:], self._low[start:])

    def leaf(self, bucket: int) -> int:
        """The hash of a bucket as a number: the XOR of the digests of its documents."""
        at = self._starts[LEVELS] + bucket
        return self._high[at] << 64 | self._low[at]

    def is_empty(self, first: int, end: int) -> bool:
        """Whether all buckets from `first` up to `end` are empty."""
        start = self._starts[LEVELS]
        return not (
            any(self._high[start + first : start + end])
            or any(self._low[start + first : start + end])
        )

    def change(self, bucket: int, difference: int) -> None:
        """Adds a document's change. `difference` is the XOR of its digests before and after."""
        high, low = difference >> 64, difference & _LOW
        at = bucket
        for level in range(LEVELS, -1, -1):
            index = self._starts[level] + at
            self._high[index] ^= high
            self._low[index] ^= low
            at //= FAN_OUT

    def hash(self, level: int, index: int) -> bytes:
        """The hash of a node: 16 bytes, all zero for an empty subtree. Raises IndexError if there is no such node."""
        if not (0 <= level <= LEVELS and 0 <= index < FAN_OUT**level):
            raise IndexError(f"the tree has no node {index} on level {level}")
        at = self._starts[level] + index
        return ((self._high[at] << 64) | self._low[at]).to_bytes(HASH_BYTES, "big")

    @property
    def root(self) -> bytes:
        return self.hash(0, 0)


def _level_above(level: array[int]) -> array[int]:
    """The XOR of the children of each node, all nodes at once."""
    above = 0
    for child in range(FAN_OUT):
        above ^= int.from_bytes(level[child::FAN_OUT].tobytes(), "little")
    return array("Q", above.to_bytes(max(len(level) // FAN_OUT, 1) * 8, "little"))
