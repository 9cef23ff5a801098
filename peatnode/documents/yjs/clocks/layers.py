"""Vectors and ranges of two layers: a shared base, and what has changed since.

To look up and to add takes time with the upper layer alone; to list takes time with both.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from typing import TypeAlias, TypeVar, overload

from peatnode.documents.yjs.clocks.base_clocks import BaseClocks
from peatnode.documents.yjs.clocks.ranges import Range, coalesce, covers, without

Ranges: TypeAlias = tuple[Range, ...]

DefaultT = TypeVar("DefaultT")

WALK_FACTOR = 8
"""Known ranges a range up to which both are walked. If there are more, each range is searched for."""


class LayeredVector(Mapping[int, int]):
    """A state vector: that of the base, and the clients whose clocks have changed since."""

    __slots__ = ("base", "changed")

    def __init__(self, base: BaseClocks, changed: Mapping[int, int]) -> None:
        self.base = base
        self.changed = changed

    def with_clocks(self, reached: Mapping[int, int]) -> LayeredVector:
        """The vector in which some clients have reached other clocks."""
        return LayeredVector(self.base, {**self.changed, **reached})

    def _find(self, client: int) -> int | None:
        found = self.changed.get(client)
        return self.base.clocks.vector.find(client) if found is None else found

    @overload
    def get(self, key: int, /) -> int | None: ...
    @overload
    def get(self, key: int, default: int, /) -> int: ...
    @overload
    def get(self, key: int, default: DefaultT, /) -> int | DefaultT: ...
    def get(self, key: int, default: object = None, /) -> object:
        found = self._find(key)
        return default if found is None else found

    def __getitem__(self, client: int) -> int:
        found = self._find(client)
        if found is None:
            raise KeyError(client)
        return found

    def __contains__(self, client: object) -> bool:
        return isinstance(client, int) and self._find(client) is not None

    def _whole(self) -> dict[int, int]:
        whole = dict(self.base.clocks.vector.items())
        whole.update(self.changed)
        return whole

    def items(self) -> ItemsView[int, int]:
        return self._whole().items()

    def __iter__(self) -> Iterator[int]:
        return iter(self._whole())

    def __len__(self) -> int:
        vector = self.base.clocks.vector
        return len(vector) + sum(vector.find(client) is None for client in self.changed)

    def __bool__(self) -> bool:
        return bool(self.changed) or bool(len(self.base.clocks.vector))


class LayeredRanges(Mapping[int, Ranges]):
    """Ranges by client in canonical form: those of the base, and those that were added since."""

    __slots__ = ("added", "base")

    def __init__(self, base: BaseClocks, added: Mapping[int, Ranges]) -> None:
        self.base = base
        self.added = added

    def with_ranges(self, ranges: Mapping[int, Ranges]) -> LayeredRanges:
        """The ranges of both."""
        added = dict(self.added)
        for client, found in ranges.items():
            known = added.get(client)
            added[client] = found if known is None else coalesce([*known, *found])
        return LayeredRanges(self.base, added)

    def covers(self, client: int, clock: int) -> bool:
        """Whether a clock is in a range."""
        added = self.added.get(client, ())
        return covers(added, clock) or self.base.clocks.ranges.covers(client, clock)

    def new_of(self, client: int, ranges: Ranges) -> Ranges:
        """The parts of a client's sorted ranges that are not here."""
        known = self.added.get(client)
        if known is not None:
            ranges = tuple(without(ranges, known))
        if not ranges:
            return ()
        base = self.base.clocks.ranges
        first, end = base.window(client, ranges[0][0], ranges[-1][1])
        if first == end:
            return ranges
        if end - first <= WALK_FACTOR * len(ranges):
            return tuple(without(ranges, base.between(first, end)))
        return tuple(
            rest
            for found in ranges
            for rest in without((found,), base.between(*base.window(client, *found)))
        )

    # --- the whole, in canonical order

    def __getitem__(self, client: int) -> Ranges:
        base = self.base.clocks.ranges
        found = (*base.between(*base.rows(client)), *self.added.get(client, ()))
        if not found:
            raise KeyError(client)
        return coalesce(list(found))

    def _whole(self) -> dict[int, Ranges]:
        whole = dict(self.base.clocks.ranges.items())
        for client, found in self.added.items():
            known = whole.get(client)
            whole[client] = found if known is None else coalesce([*known, *found])
        return dict(sorted(whole.items(), reverse=True))

    def items(self) -> ItemsView[int, Ranges]:
        return self._whole().items()

    def __iter__(self) -> Iterator[int]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def __bool__(self) -> bool:
        return bool(self.added) or bool(len(self.base.clocks.ranges))


class BaseEnded(Mapping[int, int]):
    """The ended vector of a base, with the newest clients at the end."""

    __slots__ = ("base",)

    def __init__(self, base: BaseClocks) -> None:
        self.base = base

    def __getitem__(self, client: int) -> int:
        return self.base.clocks.ended[client]

    def items(self) -> ItemsView[int, int]:
        return self.base.clocks.ended.items()

    def __iter__(self) -> Iterator[int]:
        return iter(self.base.clocks.ended)

    def __len__(self) -> int:
        return len(self.base.clocks.ended)


def layer_size(vector: LayeredVector, ranges: LayeredRanges) -> int:
    """Clients and ranges of the upper layer."""
    return len(vector.changed) + sum(map(len, ranges.added.values()))
