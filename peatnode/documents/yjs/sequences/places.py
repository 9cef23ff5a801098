"""Places in a list, by the index among its visible units, and the structs that a writer inserts there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from peatnode.documents.yjs.lib0 import var_string, var_uint
from peatnode.documents.yjs.sequences.items import Item, ItemList
from peatnode.documents.yjs.structs import HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Struct


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two neighbours, which may be deleted; None at an end of the list."""

    origin: Id | None
    right_origin: Id | None


class Places:
    """Finds places in a list and the ids of its visible units. It is outdated when the list changes."""

    def __init__(self, items: ItemList | None) -> None:
        """None: a list that never had an item."""
        self._first = None if items is None else items.first
        self._items: list[Item] = []
        self._ends: list[int] = []
        end = 0
        for item in items or ():
            if not item.is_deleted:
                end += item.struct.length
                self._items.append(item)
                self._ends.append(end)

    def before(self, index: int) -> Place:
        """The place to the right of the visible unit `index` - 1: there, Yjs inserts into arrays."""
        if index == 0:
            return Place(None, None if self._first is None else self._first.first_id)
        item, clock = self._unit(index - 1)
        origin = item.client, clock
        if clock + 1 < item.struct.end:
            return Place(origin, (item.client, clock + 1))
        return Place(origin, None if item.right is None else item.right.first_id)

    def behind_deleted(self, index: int) -> Place:
        """The same, and to the right of the deleted units that follow: there, Yjs inserts into texts."""
        left: Item | None = None
        right = self._first
        if index:
            left, clock = self._unit(index - 1)
            if clock + 1 < left.struct.end:
                return Place((left.client, clock), (left.client, clock + 1))
            right = left.right
        while right is not None and right.is_deleted:
            left, right = right, right.right
        return Place(
            None if left is None else left.last_id, None if right is None else right.first_id
        )

    def ranges(self, index: int, count: int) -> Iterator[tuple[int, int, int]]:
        """(client, start, end) of the clocks of `count` visible units from `index` on."""
        while count:
            item, clock = self._unit(index)
            size = min(count, item.struct.end - clock)
            yield item.client, clock, clock + size
            index += size
            count -= size

    def _unit(self, index: int) -> tuple[Item, int]:
        """The item that contains a visible unit, and the unit's clock."""
        at = bisect_right(self._ends, index)
        item = self._items[at]
        return item, item.struct.end - (self._ends[at] - index)


def new_struct(
    kind: int, clock: int, length: int, content: bytes, place: Place, root: str
) -> Struct:
    """A struct at a place in the list of the root type `root`."""
    info, head, parent = kind, b"", None
    if place.origin is not None:
        info |= HAS_ORIGIN
        head = var_uint(place.origin[0]) + var_uint(place.origin[1])
    if place.right_origin is not None:
        info |= HAS_RIGHT_ORIGIN
        head += var_uint(place.right_origin[0]) + var_uint(place.right_origin[1])
    if not head:
        parent = root
        head = b"\1" + var_string(root)
    head = bytes((info,)) + head
    return Struct(
        kind,
        clock,
        length,
        place.origin,
        place.right_origin,
        parent,
        None,
        head + content,
        len(head),
    )
