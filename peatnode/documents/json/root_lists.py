"""Documents with arrays and texts, read without an engine.

The items of a document are ordered as Yjs orders them (`yjs/sequences`). A document is read only if an engine would
read the same from it: all content lies in the root maps, in arrays of plain values and in texts without formatting.
"""

from __future__ import annotations

from collections.abc import Mapping

from peatnode.documents.json.pointer import pointer_of
from peatnode.documents.json.root_maps import CONTROL, RootMapEntry, RootMaps
from peatnode.documents.json.value import ARRAY, ROOT, TEXT
from peatnode.documents.yjs.any_value import encode_any
from peatnode.documents.yjs.json_content import as_any
from peatnode.documents.yjs.sequences.causal_order import NotIntegrable
from peatnode.documents.yjs.sequences.item_lists import ItemLists
from peatnode.documents.yjs.sequences.visible import NotReadable, VisibleList
from peatnode.documents.yjs.structs import ANY, DELETED, GC, STRING, TYPE, Id, Struct
from peatnode.documents.yjs.update import Update

MAX_CLIENT = 2**32
"""The engine compares client ids in 32 bits, Yjs compares whole ids: it draws none above this bound."""

MAX_STEPS = 500
"""Structs in one update that are carried forward one by one; each looks through the runs of the lists."""

_ARRAY_MARKER, _TEXT_MARKER = encode_any(ARRAY), encode_any(TEXT)


def read(state: Update) -> RootMaps | None:
    """The root maps and lists of a whole document, or None if only an engine can read it."""
    if not _has_small_clients(state):
        return None
    items = ItemLists()
    try:
        items.apply(state)
        return _checked(_shown(items))
    except (NotIntegrable, NotReadable):
        return None


def advance(maps: RootMaps, update: Update) -> RootMaps | None:
    """The root maps and lists after an update to the document of `maps`, or None if only `read` can tell.

    It changes the lists of `maps`, which must not be used any more.
    """
    if maps.lists is None or not _has_small_clients(update):
        return None
    if sum(map(len, update.structs.values())) > MAX_STEPS:
        return None
    step = _Step(maps)
    try:
        for client, structs in update.structs.items():
            if not all(step.insert(client, struct) for struct in structs):
                return None
    except NotReadable:
        return None
    step.delete(update)
    return _checked(step.maps())


def _has_small_clients(update: Update) -> bool:
    return all(client < MAX_CLIENT for client in update.structs)


def _shown(items: ItemLists) -> RootMaps | None:
    """Raises NotReadable."""
    entries: dict[str, dict[str, RootMapEntry]] = {ROOT: {}, CONTROL: {}}
    lists: dict[str, VisibleList] = {}
    for found in items.lists():
        parent, key = found.slot
        last = found.last
        assert last is not None, "a list begins with its first item"
        if isinstance(parent, str) and key is None and parent.startswith("/"):
            lists[parent] = VisibleList.of(found)
        elif isinstance(parent, str) and key is not None and parent in entries:
            entries[parent][key] = _entry(last.last_id, last.is_deleted, last.struct)
        else:
            return None
    return RootMaps(entries[ROOT], entries[CONTROL], lists)


def _entry(at: Id, is_deleted: bool, struct: Struct) -> RootMapEntry:
    """Raises NotReadable."""
    struct = as_any(struct)
    if struct.kind != ANY and not is_deleted:
        raise NotReadable(f"content kind {struct.kind} under a key")
    return RootMapEntry(at, is_deleted, struct)


class _Step:
    """Carries the content of a document forward by one update."""

    def __init__(self, maps: RootMaps) -> None:
        self._entries = {ROOT: dict(maps.root), CONTROL: dict(maps.control)}
        self._lists = dict(maps.lists or {})
        self._slots = {
            entry.at: (root, key)
            for root, entries in self._entries.items()
            for key, entry in entries.items()
        }

    def maps(self) -> RootMaps:
        return RootMaps(self._entries[ROOT], self._entries[CONTROL], self._lists)

    def insert(self, client: int, struct: Struct) -> bool:
        """False if only a reading of all items can tell where the struct belongs. Raises NotReadable."""
        if struct.kind in (GC, TYPE):
            return False
        parent, key, origin = struct.parent, struct.key, struct.origin
        if key is not None:
            entries = self._entries.get(parent) if isinstance(parent, str) else None
            if entries is None or key in entries:
                return False
            self._set((str(parent), key), client, struct)
            return True
        if struct.right_origin is None and origin in self._slots:
            self._set(self._slots.pop(origin), client, struct)
            return True
        return self._insert_into_list(client, struct)

    def _set(self, slot: tuple[str, str], client: int, struct: Struct) -> None:
        at = (client, struct.end - 1)
        self._slots[at] = slot
        self._entries[slot[0]][slot[1]] = _entry(at, struct.kind == DELETED, struct)

    def _insert_into_list(self, client: int, struct: Struct) -> bool:
        parent = struct.parent
        if parent is not None:
            if not isinstance(parent, str) or not parent.startswith("/"):
                return False
            return self._lists.setdefault(parent, VisibleList()).insert(client, struct)
        return any(shown.insert(client, struct) for shown in self._lists.values())

    def delete(self, update: Update) -> None:
        for client, start, end in update.delete_set:
            for at, (root, key) in self._slots.items():
                if at[0] == client and start <= at[1] < end:
                    self._entries[root][key] = RootMapEntry(
                        at, True, self._entries[root][key].struct
                    )
            for shown in self._lists.values():
                shown.delete(client, start, end)


def _checked(maps: RootMaps | None) -> RootMaps | None:
    """None if a list cannot be read as what its leaf says. One without a leaf is not part of the value."""
    if maps is None or maps.lists is None:
        return maps
    for key, entry in maps.root.items():
        if entry.is_deleted:
            continue
        if entry.struct.raw.endswith(_ARRAY_MARKER) and not _shows(maps.lists, key, ANY):
            return None
        if entry.struct.raw.endswith(_TEXT_MARKER) and not _shows(maps.lists, key, STRING):
            return None
    return maps


def _shows(lists: Mapping[str, VisibleList], key: str, kind: int) -> bool:
    shown = lists.get(pointer_of(key))
    return shown is None or shown.shows_only(kind)
