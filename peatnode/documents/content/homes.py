"""Where each item of a document stands: its home is a key of a map, or a list, in a root type or in a type within it.

An item names its home, or takes that of its neighbours. After two histories were joined, a neighbour may be gone.
"""

from __future__ import annotations

from collections.abc import Sequence

from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.projection import Node, Slot, SlotFinder
from peatnode.documents.yjs.structs import (
    DELETED,
    EMBED,
    FORMAT,
    GC,
    STRING,
    Struct,
    gc_struct,
)
from peatnode.documents.yjs.update import Update

_IN_TEXTS = (STRING, EMBED, FORMAT)


def without_homeless(whole: Update) -> Update:
    """A whole document in which items without a home are garbage.

    Such an item has neighbours in two homes or a neighbour that is garbage, or its parent holds no type: an engine
    could not read it. The document must not depend on itself in a circle; then it is returned as it is.
    """
    homes = _homes(whole)
    if homes is None:
        return whole
    structs: dict[int, Sequence[Struct]] = {}
    gone: list[tuple[int, int, int]] = []
    for client, found in whole.structs.items():
        lost = [at for at, s in enumerate(found) if s.kind != GC and not homes[client, at]]
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
    homes = _homes(whole)
    if homes is None:
        return whole
    misplaced = [
        (client, struct.clock, struct.end)
        for client, found in whole.structs.items()
        for at, struct in enumerate(found)
        if struct.kind not in (GC, DELETED)
        and not whole.delete_set.contains(client, struct.clock)
        and _is_misplaced(struct, homes[client, at])
    ]
    if not misplaced:
        return whole
    return Update(whole.structs, whole.delete_set.union(DeleteSet.from_ranges(misplaced)))


def _is_misplaced(struct: Struct, home: Slot | None) -> bool:
    if home is None or home[1] is None:
        return False
    return struct.kind in _IN_TEXTS or struct.right_origin is not None


def _homes(whole: Update) -> dict[Node, Slot | None] | None:
    """The homes of all structs; None if one of them depends on itself."""
    finder = SlotFinder(whole.structs, lambda _: True, False)
    nodes = [(client, at) for client, found in whole.structs.items() for at in range(len(found))]
    homes = {node: finder.slot(node) for node in nodes}
    return None if finder.is_circular else homes
