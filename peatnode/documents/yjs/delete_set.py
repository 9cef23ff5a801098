"""Delete sets: which clocks of which clients are deleted."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from peatnode.documents.limits import UpdateLimits
from peatnode.documents.yjs.lib0 import read_var_uint, var_uint
from peatnode.errors import MalformedUpdate

Range: TypeAlias = tuple[int, int]
"""(start, end): clocks from `start` up to `end`, without `end`."""

MAX_CLOCK = 1 << 62
"""A number above every clock, with which ranges are searched by their start alone."""

_NO_RANGES: Mapping[int, tuple[Range, ...]] = {}


@dataclass(frozen=True, slots=True)
class DeleteSet:
    """A set of clocks in canonical form: clients descend, and the ranges of a client ascend and never touch.

    Equal sets are equal values. `from_ranges` brings any ranges into this form.
    """

    ranges: Mapping[int, tuple[Range, ...]] = field(default_factory=lambda: _NO_RANGES)

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int, int]]) -> "DeleteSet":
        """The set of (client, start, end) ranges, which may overlap, be empty, and have any order."""
        clients: dict[int, list[Range]] = {}
        for client, start, end in ranges:
            clients.setdefault(client, []).append((start, end))
        return _canonical(clients)

    @property
    def is_empty(self) -> bool:
        return not self.ranges

    def contains(self, client: int, clock: int) -> bool:
        """Whether a clock is deleted."""
        ranges = self.ranges.get(client, ())
        at = bisect_right(ranges, (clock, MAX_CLOCK)) - 1
        return at >= 0 and clock < ranges[at][1]

    def union(self, other: "DeleteSet") -> "DeleteSet":
        """The clocks that are in either set: the join of the semilattice."""
        if not other.ranges or self.ranges == other.ranges:
            return self
        if not self.ranges:
            return other
        clients: dict[int, list[Range]] = {c: list(ranges) for c, ranges in self.ranges.items()}
        for client, ranges in other.ranges.items():
            clients.setdefault(client, []).extend(ranges)
        return _canonical(clients)

    def subtract(self, other: "DeleteSet") -> "DeleteSet":
        """The clocks of this set that are not in `other`."""
        if not self.ranges or not other.ranges:
            return self
        left: dict[int, tuple[Range, ...]] = {}
        for client, ranges in self.ranges.items():
            known = other.ranges.get(client)
            rest = tuple(_subtract(ranges, known)) if known else ranges
            if rest:
                left[client] = rest
        return DeleteSet(left)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """(client, start, end) in canonical order."""
        for client, ranges in self.ranges.items():
            for start, end in ranges:
                yield client, start, end


EMPTY_DELETE_SET = DeleteSet()


def _canonical(clients: dict[int, list[Range]]) -> DeleteSet:
    ranges = {}
    for client in sorted(clients, reverse=True):
        merged = _coalesce(clients[client])
        if merged:
            ranges[client] = merged
    return DeleteSet(ranges) if ranges else EMPTY_DELETE_SET


def _coalesce(ranges: list[Range]) -> tuple[Range, ...]:
    if len(ranges) == 1:
        return tuple(ranges) if ranges[0][0] < ranges[0][1] else ()
    ranges.sort()
    merged: list[Range] = []
    for start, end in ranges:
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return tuple(merged)


def _subtract(ranges: tuple[Range, ...], known: tuple[Range, ...]) -> Iterator[Range]:
    """The parts of `ranges` outside of `known`, both sorted, in one walk over each."""
    at = 0
    for start, end in ranges:
        while at < len(known) and known[at][1] <= start:
            at += 1
        ahead = at
        while ahead < len(known) and known[ahead][0] < end:
            if start < known[ahead][0]:
                yield start, known[ahead][0]
            start = max(start, known[ahead][1])
            ahead += 1
        if start < end:
            yield start, end


def encode_delete_set(deleted: DeleteSet) -> bytes:
    """Yjs's encoding with clients descending, so that equal sets have equal bytes."""
    if not deleted.ranges:
        return b"\0"
    parts = [var_uint(len(deleted.ranges))]
    for client, ranges in deleted.ranges.items():
        parts += (var_uint(client), var_uint(len(ranges)))
        for start, end in ranges:
            parts += (var_uint(start), var_uint(end - start))
    return b"".join(parts)


def read_delete_set(
    data: bytes, pos: int, limits: UpdateLimits
) -> tuple[list[tuple[int, int, int]], int]:
    """The encoded (client, start, end) ranges at `pos`, and the position after them.

    A client may occur twice, and ranges may overlap: as in Yjs, the delete set is their union.
    """
    clients, pos = read_var_uint(data, pos)
    found: list[tuple[int, int, int]] = []
    if clients > limits.max_clients:
        raise MalformedUpdate("too many clients in the delete set", pos)
    for _ in range(clients):
        client, pos = read_var_uint(data, pos)
        count, pos = read_var_uint(data, pos)
        if count > len(data) - pos or len(found) + count > limits.max_ranges:
            raise MalformedUpdate("too many ranges in the delete set", pos)
        for _ in range(count):
            start, pos = read_var_uint(data, pos)
            length, pos = read_var_uint(data, pos)
            if start + length > limits.max_clock:
                raise MalformedUpdate("clock too large in the delete set", pos)
            found.append((client, start, start + length))
    return found, pos
