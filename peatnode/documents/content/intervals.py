"""Items that their writer saw between two neighbours which stand the other way round, after two histories were joined.

Where such an item is put depends on what an engine has integrated before it, so readers would differ.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.sequences.causal_order import NotIntegrable
from peatnode.documents.yjs.sequences.item_lists import ItemLists
from peatnode.documents.yjs.structs import Id, Struct, gc_struct
from peatnode.documents.yjs.update import Update

MAX_ITEMS = 50_000
"""Structs of a document that is searched for such items. All nodes search the same document, or none does."""


def without_reversed(whole: Update) -> Update:
    """A whole document in which items between neighbours in the wrong order are garbage."""
    if sum(map(len, whole.structs.values())) > MAX_ITEMS:
        return whole
    lists = ItemLists()
    try:
        lists.apply(whole)
    except NotIntegrable:
        return whole
    order = _Order(lists)
    structs: dict[int, Sequence[Struct]] = {}
    gone: list[tuple[int, int, int]] = []
    for client, found in whole.structs.items():
        structs[client] = [
            gc_struct(struct.clock, struct.length) if order.is_reversed(struct) else struct
            for struct in found
        ]
        gone += ((client, s.clock, s.end) for s in found if order.is_reversed(s))
    if not gone:
        return whole
    return Update(structs, whole.delete_set.union(DeleteSet.from_ranges(gone)))


class _Order:
    """The places of all items in their lists."""

    def __init__(self, lists: ItemLists) -> None:
        self._clocks: dict[int, list[int]] = {}
        self._places: dict[Id, int] = {}
        for place, (client, clock) in enumerate(_ids(lists)):
            self._places[client, clock] = place
            self._clocks.setdefault(client, []).append(clock)
        for clocks in self._clocks.values():
            clocks.sort()

    def is_reversed(self, struct: Struct) -> bool:
        origin, right_origin = struct.origin, struct.right_origin
        if origin is None or right_origin is None:
            return False
        return self._place(origin) >= self._place(right_origin)

    def _place(self, at: Id) -> int:
        client, clock = at
        clocks = self._clocks.get(client, [])
        index = bisect_right(clocks, clock) - 1
        return self._places[client, clocks[index]] if index >= 0 else -1


def _ids(lists: ItemLists) -> Iterator[Id]:
    for found in lists.lists():
        for item in found:
            yield item.first_id
