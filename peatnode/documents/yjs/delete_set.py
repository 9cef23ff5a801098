"""Delete sets: which clocks of which clients are deleted."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from peatnode.documents.limits import UpdateLimits
from peatnode.documents.yjs.clocks.layers import LayeredRanges
from peatnode.documents.yjs.clocks.ranges import Range, coalesce, covers, without
from peatnode.documents.yjs.lib0 import read_var_uint, var_uint
from peatnode.errors import MalformedUpdate

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
        if isinstance(self.ranges, LayeredRanges):
            return self.ranges.covers(client, clock)
        return covers(self.ranges.get(client, ()), clock)

    def union(self, other: "DeleteSet") -> "DeleteSet":
        """The clocks that are in either set: the join of the semilattice."""
        if not other.ranges:
            return self
        if isinstance(self.ranges, LayeredRanges):
            return DeleteSet(self.ranges.with_ranges(other.ranges))
        if self.ranges == other.ranges:
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
            rest = _new_ranges(client, ranges, other.ranges)
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
        merged = coalesce(clients[client])
        if merged:
            ranges[client] = merged
    return DeleteSet(ranges) if ranges else EMPTY_DELETE_SET


def _new_ranges(
    client: int, ranges: tuple[Range, ...], known: Mapping[int, tuple[Range, ...]]
) -> tuple[Range, ...]:
    if isinstance(known, LayeredRanges):
        return known.new_of(client, ranges)
    of_client = known.get(client)
    return tuple(without(ranges, of_client)) if of_client else ranges


def encode_delete_set(deleted: DeleteSet) -> bytes:
    """Yjs's encoding with clients descending, so that equal sets have equal bytes."""
    if not deleted.ranges:
        return b"\0"
    clients = deleted.ranges.items()
    parts = [var_uint(len(clients))]
    for client, ranges in clients:
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
