"""The lower layer of large clocks: what many versions of a record share, with its bytes on disk."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

import msgpack

from peatnode.documents.yjs.clocks.ranges import PackedRanges
from peatnode.documents.yjs.clocks.vectors import PackedVector

BASE_ID_BYTES = 8

_TYPECODES = "QIQIIQI"
"""Of the stored arrays: 8 bytes for client ids, 4 for clocks, little-endian."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """A state vector, a delete set and an ended vector. They are never changed."""

    vector: PackedVector
    ranges: PackedRanges
    ended: Mapping[int, int]
    """With the newest clients at the end."""

    @property
    def size_bytes(self) -> int:
        """About the memory that they take."""
        return 12 * len(self.vector) + 16 * len(self.ranges) + 150 * len(self.ended)


class BaseClocks:
    """Clocks that are loaded when they are first needed. The id is a digest of their bytes."""

    __slots__ = ("_clocks", "_load", "id")

    def __init__(self, base_id: bytes, load: Callable[[bytes], Clocks]) -> None:
        """`load(id)` returns the clocks, or raises what the storage raises."""
        self.id = base_id
        self._load = load
        self._clocks: Clocks | None = None

    @property
    def clocks(self) -> Clocks:
        if self._clocks is None:
            self._clocks = self._load(self.id)
        return self._clocks


def base_of(clocks: Clocks) -> BaseClocks:
    """New clocks as a base, which needs no loading."""
    return BaseClocks(base_id(encode_clocks(clocks)), lambda _: clocks)


def base_id(encoded: bytes) -> bytes:
    """The id of clocks by their bytes on disk: equal clocks have equal ids."""
    return sha256(encoded).digest()[:BASE_ID_BYTES]


def encode_clocks(clocks: Clocks) -> bytes:
    """The bytes on disk: a msgpack array of the arrays."""
    vector, ranges = clocks.vector, clocks.ranges
    arrays = (
        vector.clients,
        vector.clocks,
        ranges.clients,
        ranges.starts,
        ranges.ends,
        array("Q", clocks.ended.keys()),
        array("I", clocks.ended.values()),
    )
    packed: bytes = msgpack.packb([_little_endian(numbers).tobytes() for numbers in arrays])
    return packed


def decode_clocks(data: bytes) -> Clocks:
    """Raises ValueError for bytes that are no clocks."""
    try:
        arrays = [
            _from_bytes(code, part)
            for code, part in zip(_TYPECODES, msgpack.unpackb(data), strict=True)
        ]
        ended = dict(zip(arrays[5], arrays[6], strict=True))
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"not clocks: {error}") from error
    return Clocks(PackedVector(arrays[0], arrays[1]), PackedRanges(*arrays[2:5]), ended)


def _from_bytes(code: str, data: bytes) -> array[int]:
    numbers = array(code)
    numbers.frombytes(data)
    return _little_endian(numbers)


def _little_endian(numbers: array[int]) -> array[int]:
    """The numbers in the other byte order, on a machine whose order is big-endian."""
    if sys.byteorder == "little":
        return numbers
    numbers = array(numbers.typecode, numbers)
    numbers.byteswap()
    return numbers
