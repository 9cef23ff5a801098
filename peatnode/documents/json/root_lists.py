"""Documents with arrays and texts, read without an engine.

The items of a document are ordered as Yjs orders them (`yjs/sequences`). A document is read only if an engine would
read the same from it: all content lies in the root maps, in arrays of plain values and in texts without formatting.
"""

from __future__ import annotations

from peatnode.documents.json.pointer import pointer_of
from peatnode.documents.json.root_maps import CONTROL, RootMapEntry, RootMaps
from peatnode.documents.json.value import ARRAY, ROOT, TEXT
from peatnode.documents.yjs.any_value import encode_any
from peatnode.documents.yjs.json_content import as_any
from peatnode.documents.yjs.sequences.causal_order import NotIntegrable
from peatnode.documents.yjs.sequences.contents import is_array, is_text, visible_kinds
from peatnode.documents.yjs.sequences.item_lists import ItemLists
from peatnode.documents.yjs.sequences.items import Item
from peatnode.documents.yjs.structs import ANY
from peatnode.documents.yjs.update import Update

MAX_CLIENT = 2**32
"""The engine compares client ids in 32 bits, Yjs compares whole ids: it draws none above this bound."""

_ARRAY_MARKER, _TEXT_MARKER = encode_any(ARRAY), encode_any(TEXT)


def read(state: Update) -> RootMaps | None:
    """The root maps and lists of a whole document, or None if only an engine can read it."""
    if any(client >= MAX_CLIENT for client in state.structs):
        return None
    return _after(ItemLists(), state)


def advance(maps: RootMaps, update: Update) -> RootMaps | None:
    """The root maps and lists after an update to the document of `maps`, or None if only an engine can read it.

    It changes the lists of `maps`, which must not be used any more.
    """
    if maps.lists is None or any(client >= MAX_CLIENT for client in update.structs):
        return None
    return _after(maps.lists, update)


def _after(lists: ItemLists, update: Update) -> RootMaps | None:
    try:
        lists.apply(update)
    except NotIntegrable:
        return None
    entries: dict[str, dict[str, RootMapEntry]] = {ROOT: {}, CONTROL: {}}
    kinds: dict[str, frozenset[int]] = {}
    for items in lists.lists():
        parent, key = items.slot
        if not isinstance(parent, str):
            return None
        if key is None and parent.startswith("/"):
            kinds[parent] = visible_kinds(items)
            continue
        last = items.last
        if key is None or parent not in entries or last is None:
            return None
        entry = _entry(last)
        if entry is None:
            return None
        entries[parent][key] = entry
    maps = RootMaps(entries[ROOT], entries[CONTROL], lists)
    return maps if _are_markers_right(maps, kinds) else None


def _entry(item: Item) -> RootMapEntry | None:
    struct = as_any(item.struct)
    if struct.kind != ANY and not item.is_deleted:
        return None
    return RootMapEntry(item.last_id, item.is_deleted, struct)


def _are_markers_right(maps: RootMaps, kinds: dict[str, frozenset[int]]) -> bool:
    """Whether each list can be read as what its leaf says. One without a leaf is not part of the value."""
    for key, entry in maps.root.items():
        if entry.is_deleted:
            continue
        raw = entry.struct.raw
        if raw.endswith(_ARRAY_MARKER):
            is_right = is_array(kinds.get(pointer_of(key), frozenset()))
        elif raw.endswith(_TEXT_MARKER):
            is_right = is_text(kinds.get(pointer_of(key), frozenset()))
        else:
            continue
        if not is_right:
            return False
    return True
