"""Where each item of a document stands: its home is a key of a map, or a list, in a root type or in a type within it.

An item names its home, or takes that of its neighbours. After two histories were joined, a neighbour may be gone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.structs import (
    DELETED,
    EMBED,
    FORMAT,
    GC,
    STRING,
    TYPE,
    Id,
    Struct,
    gc_struct,
)
from peatnode.documents.yjs.update import Update

Home = tuple[str | Id, str | None]
"""The parent, and the key in it."""
_IN_TEXTS = (STRING, EMBED, FORMAT)
_Place = tuple[int, int]
"""Client, and index of a struct among those of the client."""


def without_homeless(whole: Update) -> Update:
    """A whole document in which items without a home are garbage.

    Such an item has neighbours in two homes or a neighbour that is garbage, or its parent holds no type: an engine
    could not read it. The document must not depend on itself in a circle; then it is returned as it is.
    """
    homes = _Homes(whole)
    if homes.is_circular:
        return whole
    structs: dict[int, Sequence[Struct]] = {}
    gone: list[tuple[int, int, int]] = []
    for client, found in whole.structs.items():
        lost = [at for at, s in enumerate(found) if s.kind != GC and not homes.of((client, at))]
        if not lost:
            structs[client] = found
            continue
        kept = list(found)
        for at in lost:
            kept[at] = gc_struct(found[at].clock, found[at].length)
            gone.append((client, found[at].clock, found[at].end))
        structs[client] = kept
    if not gone:
        return whole
    return Update(structs, whole.delete_set.union(DeleteSet.from_ranges(gone)))


def without_misplaced(whole: Update) -> Update:
    """A whole document in which what no writer puts under a key is deleted: a text, or an item before another.

    How an engine reads these depends on how it has cut them. The document must not depend on itself in a circle.
    """
    homes = _Homes(whole)
    if homes.is_circular:
        return whole
    misplaced = [
        (client, struct.clock, struct.end)
        for client, found in whole.structs.items()
        for at, struct in enumerate(found)
        if struct.kind not in (GC, DELETED)
        and not whole.delete_set.contains(client, struct.clock)
        and _is_misplaced(struct, homes.of((client, at)))
    ]
    if not misplaced:
        return whole
    return Update(whole.structs, whole.delete_set.union(DeleteSet.from_ranges(misplaced)))


def _is_misplaced(struct: Struct, home: Home | None) -> bool:
    if home is None or home[1] is None:
        return False
    return struct.kind in _IN_TEXTS or struct.right_origin is not None


class _Homes:
    """The homes of all structs of a whole document, without gaps between the clocks of a client."""

    def __init__(self, whole: Update) -> None:
        self._structs = whole.structs
        self._ends = {c: [s.end for s in found] for c, found in whole.structs.items()}
        self._homes: dict[_Place, Home | None] = {}
        self.is_circular = False
        for client, found in whole.structs.items():
            for at in range(len(found)):
                self._resolve((client, at))

    def of(self, place: _Place) -> Home | None:
        return self._homes.get(place)

    def _resolve(self, place: _Place) -> None:
        """Finds the home of a struct after those that it depends on."""
        path = [place]
        on_path = {place}
        while path and not self.is_circular:
            waiting = next((p for p in self._needs(path[-1]) if p not in self._homes), None)
            if waiting is None:
                done = path.pop()
                on_path.discard(done)
                self._homes[done] = self._home(self._structs[done[0]][done[1]])
            elif waiting in on_path:
                self.is_circular = True
            else:
                path.append(waiting)
                on_path.add(waiting)

    def _needs(self, place: _Place) -> Iterator[_Place]:
        struct = self._structs[place[0]][place[1]]
        for needed in (struct.origin, struct.right_origin, struct.parent):
            if isinstance(needed, tuple):
                found = self._find(needed)
                if found is not None:
                    yield found

    def _find(self, at: Id) -> _Place | None:
        """The struct that holds a clock; None: there is none."""
        client, clock = at
        ends = self._ends.get(client, ())
        index = bisect_right(ends, clock)
        return (client, index) if index < len(ends) else None

    def _home(self, struct: Struct) -> Home | None:
        neighbours = [at for at in (struct.origin, struct.right_origin) if at is not None]
        if struct.kind == GC:
            return None
        if not neighbours:
            return self._named_home(struct)
        homes = {self._homes.get(place) if (place := self._find(at)) else None for at in neighbours}
        return homes.pop() if len(homes) == 1 else None

    def _named_home(self, struct: Struct) -> Home | None:
        parent = struct.parent
        if isinstance(parent, tuple):
            place = self._find(parent)
            if place is None or self._homes.get(place) is None:
                return None
            if self._structs[place[0]][place[1]].kind != TYPE:
                return None
        return None if parent is None else (parent, struct.key)
