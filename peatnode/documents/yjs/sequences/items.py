"""Items in the order of their list, and an index that finds an item by any of its ids."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TypeAlias

from peatnode.documents.yjs.structs import DELETED, Id, Struct, cut_left, cut_right

Slot: TypeAlias = tuple[str | Id, str | None]
"""Parent and key: the list of a type (the key is None), or the items of one key of a map."""


class Item:
    """A struct in its list. Unlike a `Struct`, it changes: it is split, deleted, and gets new neighbours."""

    __slots__ = ("client", "home", "is_deleted", "left", "right", "struct")

    def __init__(self, client: int, struct: Struct, home: ItemList | None) -> None:
        self.client = client
        self.struct = struct
        self.home = home
        """The list that holds the item; None for garbage, which has no place."""
        self.is_deleted = home is None or struct.kind == DELETED
        self.left: Item | None = None
        self.right: Item | None = None

    @property
    def first_id(self) -> Id:
        return self.client, self.struct.clock

    @property
    def last_id(self) -> Id:
        return self.client, self.struct.end - 1


class ItemList:
    """The items of one slot, deleted ones included, from left to right."""

    __slots__ = ("first", "last", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.first: Item | None = None
        self.last: Item | None = None

    def __iter__(self) -> Iterator[Item]:
        at = self.first
        while at is not None:
            yield at
            at = at.right

    def insert_after(self, left: Item | None, item: Item) -> None:
        """Links `item` behind `left`; at the beginning if that is None."""
        right = self.first if left is None else left.right
        item.left, item.right = left, right
        if left is None:
            self.first = item
        else:
            left.right = item
        if right is None:
            self.last = item
        else:
            right.left = item


class ClientItems:
    """All items of one client by ascending clock, without gaps from 0 on."""

    __slots__ = ("_clocks", "_items")

    def __init__(self) -> None:
        self._clocks: list[int] = []
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    @property
    def end(self) -> int:
        """The clock after the last item."""
        return self._items[-1].struct.end if self._items else 0

    def append(self, item: Item) -> None:
        self._clocks.append(item.struct.clock)
        self._items.append(item)

    def find(self, clock: int) -> Item:
        """The item that contains `clock`, which is below `end`."""
        return self._items[bisect_right(self._clocks, clock) - 1]

    def ending_at(self, clock: int) -> Item:
        """The item whose last clock is `clock`. The item that contains it is split if it goes on."""
        at = bisect_right(self._clocks, clock) - 1
        item = self._items[at]
        if clock + 1 < item.struct.end:
            self._split(at, clock + 1)
        return item

    def starting_at(self, clock: int) -> Item:
        """The item whose first clock is `clock`. The item that contains it is split if it begins earlier."""
        at = bisect_right(self._clocks, clock) - 1
        item = self._items[at]
        return item if item.struct.clock == clock else self._split(at, clock)

    def between(self, start: int, end: int) -> Iterator[Item]:
        """The items of the clocks from `start` up to `end`. Live items are split there, deleted ones are not."""
        clock, stop = start, min(end, self.end)
        while clock < stop:
            at = bisect_right(self._clocks, clock) - 1
            item = self._items[at]
            if not item.is_deleted:
                if item.struct.clock < clock:
                    item = self._split(at, clock)
                    at += 1
                if item.struct.end > stop:
                    self._split(at, stop)
            yield item
            clock = item.struct.end

    def _split(self, at: int, clock: int) -> Item:
        """Splits an item before `clock`. Returns the right part."""
        item = self._items[at]
        whole = item.struct
        offset = clock - whole.clock
        right = Item(item.client, cut_right(item.client, whole, offset), item.home)
        right.is_deleted = item.is_deleted
        item.struct = cut_left(whole, offset)
        if item.home is not None:
            item.home.insert_after(item, right)
        self._clocks.insert(at + 1, clock)
        self._items.insert(at + 1, right)
        return right
