"""Ranges of clocks: arithmetic on sorted ranges, and the ranges of many clients in arrays."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
"""(start, end): clocks from `start` up to `end`, without `end`."""

MAX_CLOCK = 1 << 62
"""A number above every clock, with which ranges are searched by their start alone."""


def coalesce(ranges: list[Range]) -> tuple[Range, ...]:
    """The same clocks as ranges that ascend and never touch."""
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


def covers(ranges: Sequence[Range], clock: int) -> bool:
    """Whether one of the sorted ranges holds a clock."""
    at = bisect_right(ranges, (clock, MAX_CLOCK)) - 1
    return at >= 0 and clock < ranges[at][1]


def without(ranges: Sequence[Range], known: Sequence[Range]) -> Iterator[Range]:
    """The parts of `ranges` outside of `known`, both sorted. Known ranges far behind are not walked."""
    at = 0
    for start, end in ranges:
        if at < len(known) and known[at][1] <= start:
            at = bisect_right(known, start, at, key=_end_of)
        ahead = at
        while ahead < len(known) and known[ahead][0] < end:
            if start < known[ahead][0]:
                yield start, known[ahead][0]
            start = max(start, known[ahead][1])
            ahead += 1
        if start < end:
            yield start, end


def _end_of(range_: Range) -> int:
    return range_[1]


class PackedRanges:
    """Ranges of many clients in three arrays, by ascending client and start: 16 bytes a range."""

    __slots__ = ("clients", "ends", "starts")

    def __init__(self, clients: array[int], starts: array[int], ends: array[int]) -> None:
        self.clients = clients
        self.starts = starts
        self.ends = ends

    @classmethod
    def of(cls, ranges: Mapping[int, tuple[Range, ...]]) -> PackedRanges:
        return cls(array("Q"), array("I"), array("I")).with_ranges(ranges)

    def __len__(self) -> int:
        return len(self.clients)

    def rows(self, client: int) -> tuple[int, int]:
        """First and end of the rows of a client."""
        first = bisect_left(self.clients, client)
        return first, bisect_right(self.clients, client, first)

    def covers(self, client: int, clock: int) -> bool:
        first, end = self.rows(client)
        at = bisect_right(self.starts, clock, first, end) - 1
        return at >= first and clock < self.ends[at]

    def window(self, client: int, start: int, end: int) -> tuple[int, int]:
        """First and end of the rows of a client that hold clocks from `start` up to `end`."""
        first, last = self.rows(client)
        at = bisect_right(self.ends, start, first, last)
        return at, bisect_left(self.starts, end, at, last)

    def between(self, first: int, end: int) -> list[Range]:
        """The ranges of some rows."""
        return list(zip(self.starts[first:end], self.ends[first:end], strict=True))

    def items(self) -> Iterator[tuple[int, tuple[Range, ...]]]:
        """The ranges of each client, by descending client."""
        end = len(self.clients)
        while end:
            client = self.clients[end - 1]
            first = bisect_left(self.clients, client, 0, end)
            yield client, tuple(self.between(first, end))
            end = first

    def with_ranges(self, added: Mapping[int, tuple[Range, ...]]) -> PackedRanges:
        """The ranges of both. Takes time with those of the added clients, and copies the rest."""
        clients, starts, ends = array("Q"), array("I"), array("I")
        at = 0
        for client, found in sorted(added.items()):
            first, end = self.rows(client)
            if end > first:
                found = coalesce([*self.between(first, end), *found])
            clients += self.clients[at:first] + array("Q", (client,)) * len(found)
            starts += self.starts[at:first] + array("I", [start for start, _ in found])
            ends += self.ends[at:first] + array("I", [end for _, end in found])
            at = end
        return PackedRanges(
            clients + self.clients[at:], starts + self.starts[at:], ends + self.ends[at:]
        )
