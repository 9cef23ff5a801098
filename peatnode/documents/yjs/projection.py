"""Projection of a document to some of its root types."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.json_content import plain
from peatnode.documents.yjs.structs import GC, TYPE, Id, Struct, gc_struct, is_joinable, join
from peatnode.documents.yjs.update import Update

Slot: TypeAlias = tuple[str | Id, str | None]
"""Parent and key of an item: the list, or the entry of a map, that contains it."""

Node: TypeAlias = tuple[int, int]
"""A struct: its client, and its index among the structs of that client."""


def root_names(update: Update) -> frozenset[str]:
    """The root types that items of the update name as their parent.

    The result is complete for a whole document only: in a difference, items may name an origin instead.
    """
    return frozenset(
        struct.parent
        for structs in update.structs.values()
        for struct in structs
        if isinstance(struct.parent, str)
    )


def project(update: Update, keep_root: Callable[[str], bool], flatten: bool = False) -> Update:
    """The update with every item outside the kept root types replaced by GC of the same clocks.

    `update` must be a whole document: the slot of most items follows from their origins, so an item that refers to
    an unknown id becomes GC. An item that an engine could not place becomes GC too: an item in a GC struct, in an
    item without a type, or with neighbours in two different slots. To project a difference, project the document
    that contains it, and take `diff_update` of the result.

    With `flatten`, shared types inside the kept roots become null and their content GC. Values that JSON cannot
    express (bytes, undefined, NaN) become null (`plain`), so that no engine panics.

    The delete set stays whole. An engine that loads the result reports the GC clocks as deleted: subtract
    `gc_clocks` of the result from the engine's next update, or that update would delete the other roots.
    """
    finder = SlotFinder(update.structs, keep_root, flatten)
    projected = {}
    for client, structs in update.structs.items():
        rewritten = (finder.project((client, at)) for at in range(len(structs)))
        projected[client] = list(_join_gc(client, rewritten))
    return Update(projected, update.delete_set)


def gc_clocks(update: Update) -> DeleteSet:
    """The clocks of GC structs, which engines report as deleted."""
    return DeleteSet.from_ranges(
        (client, struct.clock, struct.end)
        for client, structs in update.structs.items()
        for struct in structs
        if struct.kind == GC
    )


def _join_gc(client: int, structs: Iterable[Struct]) -> Iterator[Struct]:
    run: list[Struct] = []
    for struct in structs:
        if run and not (struct.kind == GC and is_joinable(client, run[-1], struct)):
            yield join(run)
            run = []
        run.append(struct)
    yield join(run)


class SlotFinder:
    """Finds the slots of items. It does not recurse, because chains of origins are as long as documents."""

    def __init__(
        self,
        structs: Mapping[int, Sequence[Struct]],
        keep_root: Callable[[str], bool],
        flatten: bool,
    ) -> None:
        self._structs = structs
        self._starts = {c: [struct.clock for struct in known] for c, known in structs.items()}
        self._slots: dict[Node, Slot | None] = {}
        self._kept: dict[str | Id, bool] = {}
        self._keep_root = keep_root
        self._flatten = flatten
        self.is_circular = False
        """Whether an item was found whose slot depends on itself. It has none."""

    def project(self, node: Node) -> Struct:
        """The struct itself, or GC of its length if it is outside the kept roots."""
        struct = self._struct(node)
        if struct.kind == GC:
            return struct
        if self.slot(node) is None:
            return gc_struct(struct.clock, struct.length)
        return plain(struct) if self._flatten else struct

    def slot(self, node: Node) -> Slot | None:
        """The slot of an item; None for GC, outside of the kept roots, and for an item that no engine could place."""
        slot = self._slot(node)
        return slot if slot is not None and self._is_kept(slot[0]) else None

    def _struct(self, node: Node) -> Struct:
        return self._structs[node[0]][node[1]]

    def _find(self, at: Id) -> Node | None:
        """The struct that contains an id."""
        client, clock = at
        index = bisect_right(self._starts.get(client, ()), clock) - 1
        if index < 0 or self._structs[client][index].end <= clock:
            return None
        return client, index

    def _slot(self, node: Node) -> Slot | None:
        """The slot of an item; None for GC and for an item that no engine could place."""
        slots = self._slots
        entered: set[Node] = set()
        stack = [node]
        while stack:
            top = stack[-1]
            if top in slots:
                stack.pop()
                continue
            struct = self._struct(top)
            if struct.kind == GC:
                slots[top] = None
            elif struct.parent is not None:
                slots[top] = (struct.parent, struct.key)
            else:
                ids = (struct.origin, struct.right_origin)
                neighbours = {self._find(at) for at in ids if at is not None}
                unknown = [n for n in neighbours if n is not None and n not in slots]
                if unknown and top not in entered:
                    entered.add(top)
                    stack += unknown
                else:
                    self.is_circular |= bool(unknown)
                    slots[top] = None if unknown else self._common_slot(neighbours)
        return slots[node]

    def _common_slot(self, neighbours: set[Node | None]) -> Slot | None:
        found = {None if node is None else self._slots[node] for node in neighbours}
        return found.pop() if len(found) == 1 else None

    def _is_kept(self, parent: str | Id) -> bool:
        """Whether the type is a kept root or lies inside one."""
        path: list[str | Id] = []
        verdict: bool | None = None
        at: str | Id = parent
        while verdict is None:
            verdict = self._kept.get(at)
            if verdict is None:
                path.append(at)
                above = self._above(at)
                if above is None or above in path:
                    self.is_circular |= above is not None
                    verdict = False
                elif isinstance(above, bool):
                    verdict = above
                else:
                    at = above
        self._kept.update(dict.fromkeys(path, verdict))
        return verdict

    def _above(self, parent: str | Id) -> str | Id | bool | None:
        """The parent of the item that holds the type; for a root type, whether it is kept."""
        if isinstance(parent, str):
            return self._keep_root(parent)
        node = None if self._flatten else self._find(parent)
        if node is None or self._struct(node).kind != TYPE:
            return None
        slot = self._slot(node)
        return None if slot is None else slot[0]
