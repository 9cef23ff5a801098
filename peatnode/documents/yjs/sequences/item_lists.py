"""All items of a document in their lists: integrates updates as Yjs does.

The order follows from the ids of the items: the item that its writer saw on the left (the origin), the one on the
right (the right origin), and, between items with equal origins, the client. It does not depend on the order in which
updates arrive. Source: Item.getMissing and Item.integrate in Yjs, src/structs/Item.js.
"""

from __future__ import annotations

from collections.abc import Iterator

from peatnode.documents.yjs.sequences.causal_order import NotIntegrable, in_causal_order
from peatnode.documents.yjs.sequences.items import ClientItems, Item, ItemList, Slot
from peatnode.documents.yjs.structs import GC, TYPE, Id, Struct
from peatnode.documents.yjs.update import Update

MAX_COMPARISONS = 100_000
"""Comparisons of concurrent items in one update. Few updates need any, and they take quadratic time."""


class ItemLists:
    """The items of a document, by slot and by id. `apply` changes it in place."""

    def __init__(self) -> None:
        self._clients: dict[int, ClientItems] = {}
        self._lists: dict[Slot, ItemList] = {}
        self._comparisons = 0
        """How many `apply` may still make."""

    def __len__(self) -> int:
        """The number of items."""
        return sum(map(len, self._clients.values()))

    def apply(self, update: Update) -> None:
        """Integrates what is new in an update; it must hold nothing that is known.

        Raises NotIntegrable, also for an update that would take too long. The lists are half changed then, and must
        be dropped.
        """
        self._comparisons = MAX_COMPARISONS
        for client, struct in in_causal_order(update.structs, self._end):
            self._integrate(client, struct)
        for client, start, end in update.delete_set:
            if client in self._clients:
                for item in self._clients[client].between(start, end):
                    item.is_deleted = True

    def find(self, slot: Slot) -> ItemList | None:
        """The items of a slot; None if it never had any."""
        return self._lists.get(slot)

    def lists(self) -> Iterator[ItemList]:
        return iter(self._lists.values())

    def _end(self, client: int) -> int:
        known = self._clients.get(client)
        return 0 if known is None else known.end

    def _integrate(self, client: int, struct: Struct) -> None:
        origin, right_origin = struct.origin, struct.right_origin
        left = None if origin is None else self._clients[origin[0]].ending_at(origin[1])
        right = (
            None
            if right_origin is None
            else self._clients[right_origin[0]].starting_at(right_origin[1])
        )
        home = self._home(struct, left, right)
        item = Item(client, struct, home)
        if client not in self._clients:
            self._clients[client] = ClientItems()
        self._clients[client].append(item)
        if home is None:
            return
        neighbour = home.first if left is None else left.right
        if neighbour is not right:
            left = self._left_neighbour(item, left, right, neighbour)
        home.insert_after(left, item)

    def _home(self, struct: Struct, left: Item | None, right: Item | None) -> ItemList | None:
        """The list of an item; None for garbage, and for an item beside or inside of garbage."""
        if struct.kind == GC:
            return None
        parent = struct.parent
        if parent is None:
            homes = [at.home for at in (left, right) if at is not None]
            if homes[0] is not homes[-1]:
                raise NotIntegrable(f"clock {struct.clock} lies between two lists")
            return homes[0]
        if isinstance(parent, tuple):
            holder = self._clients[parent[0]].find(parent[1])
            if holder.home is None or holder.struct.kind != TYPE:
                return None
        slot = (parent, struct.key)
        home = self._lists.get(slot)
        if home is None:
            home = self._lists[slot] = ItemList(slot)
        return home

    def _left_neighbour(
        self, item: Item, left: Item | None, right: Item | None, other: Item | None
    ) -> Item | None:
        """The item behind which `item` belongs, among the items from `other` up to `right`, which are concurrent."""
        origin, right_origin = item.struct.origin, item.struct.right_origin
        passed: set[Item] = set()
        conflicting: set[Item] = set()
        while other is not None and other is not right:
            passed.add(other)
            conflicting.add(other)
            self._comparisons -= 1
            if other.struct.origin == origin:
                if other.client < item.client:
                    left = other
                    conflicting.clear()
                elif other.struct.right_origin == right_origin:
                    break
            else:
                anchor = self._anchor(other.struct.origin)
                if anchor not in passed:
                    break
                if anchor not in conflicting:
                    left = other
                    conflicting.clear()
            other = other.right
        if self._comparisons < 0:
            raise NotIntegrable(f"more than {MAX_COMPARISONS} comparisons of concurrent items")
        return left

    def _anchor(self, origin: Id | None) -> Item | None:
        return None if origin is None else self._clients[origin[0]].find(origin[1])
