"""Documents that consist of root maps alone, read without an engine; and changes to all that is read without one.

The result is exact. An item of a map has an origin (the item that its writer saw under the key) and no right origin.
Therefore Yjs orders the items of one key as a walk over the tree of origins, with siblings ascending by client. The
last item is the key's value, if it is not deleted. Source: Item.integrate and typeMapSet in Yjs. For other content
`read` returns None; `root_lists.py` reads documents with arrays and texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from peatnode.documents.json.diff import Edits, Splice, TextSplice
from peatnode.documents.json.value import ARRAY, ROOT, TEXT, Shape, flatten, markers
from peatnode.documents.yjs.any_value import Json, encode_any, read_last_any
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet
from peatnode.documents.yjs.lib0 import var_string, var_uint
from peatnode.documents.yjs.sequences.visible import Place, Places, VisibleList, new_struct
from peatnode.documents.yjs.structs import ANY, DELETED, HAS_KEY, HAS_ORIGIN, STRING, Id, Struct
from peatnode.documents.yjs.update import Update

CONTROL = "peat"
"""Root map of the node's own entries, which are not part of the value."""

EXPIRES = "expires"
"""Key in the control map: the expiry of the document, in Unix seconds."""

ROOT_MAP_NAMES = frozenset((ROOT, CONTROL))


@dataclass(frozen=True, slots=True)
class RootMapEntry:
    """The last item of a key in a root map."""

    at: Id
    """The id of the item's last clock."""
    is_deleted: bool
    struct: Struct

    def value(self) -> Json:
        return read_last_any(self.struct.raw, self.struct.content_at)

    def content(self) -> bytes:
        """The encoded values of the item."""
        return self.struct.raw[self.struct.content_at :]


@dataclass(frozen=True, slots=True)
class RootMaps:
    """The entries of the root maps of a document, and what its arrays and texts show."""

    root: Mapping[str, RootMapEntry] = field(default_factory=dict)
    control: Mapping[str, RootMapEntry] = field(default_factory=dict)
    lists: Mapping[str, VisibleList] | None = None
    """Arrays and texts by name, also those without a leaf. None: the document never had content in one."""

    def shape(self) -> Shape:
        """The shape of the document: its leaves, and the arrays and texts that they stand for."""
        leaves = {k: entry.value() for k, entry in self.root.items() if not entry.is_deleted}
        if self.lists is None:
            return Shape(leaves)
        arrays = {name: self._list(name).values() for name in markers(leaves, ARRAY)}
        return Shape(leaves, arrays, {n: self._list(n).text() for n in markers(leaves, TEXT)})

    def shape_towards(self, shape: Shape, target: dict[str, Json]) -> Shape | None:
        """`shape` with the arrays that only `target` names: they may hold elements that the value does not show.

        None if one of them holds what is no array, so that only an engine can change it.
        """
        if self.lists is None:
            return shape
        hidden = [name for name, shown in self.lists.items() if shown.runs]
        if len(hidden) <= len(shape.arrays) and all(name in shape.arrays for name in hidden):
            return shape
        names = [n for n in flatten(target).arrays if n in hidden and n not in shape.arrays]
        if not all(self._list(name).shows_only(ANY) for name in names):
            return None
        arrays = {name: self._list(name).values() for name in names}
        return Shape(shape.leaves, {**shape.arrays, **arrays}, shape.texts)

    def _list(self, name: str) -> VisibleList:
        return (self.lists or {}).get(name) or VisibleList()

    def expires_at(self) -> float:
        """The expiry in Unix seconds; 0: never."""
        entry = self.control.get(EXPIRES)
        value = None if entry is None or entry.is_deleted else entry.value()
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return max(0.0, float(value)) if is_number else 0.0  # type: ignore[arg-type]


NO_ROOT_MAPS = RootMaps()


def read(state: Update, roots: frozenset[str] = ROOT_MAP_NAMES) -> RootMaps | None:
    """The root maps of a whole document, or None if only an engine can read it.

    With other `roots` than both root maps, content outside of `roots` is skipped instead.
    """
    tops: dict[tuple[str, str], list[tuple[int, Struct]]] = {}
    children: dict[Id, list[tuple[int, Struct]]] = {}
    tails: set[Id] = set()
    is_strict = roots is ROOT_MAP_NAMES
    for client, structs in state.structs.items():
        for struct in structs:
            if struct.kind not in (ANY, DELETED) or struct.right_origin is not None:
                if is_strict:
                    return None
                continue
            if struct.origin is not None:
                children.setdefault(struct.origin, []).append((client, struct))
            elif struct.parent in roots and struct.key is not None:
                assert isinstance(struct.parent, str)
                tops.setdefault((struct.parent, struct.key), []).append((client, struct))
            elif is_strict:
                return None
            tails.add((client, struct.clock + struct.length - 1))
    if is_strict and not tails.issuperset(children):
        return None
    found: dict[str, dict[str, RootMapEntry]] = {ROOT: {}, CONTROL: {}}
    for (root, key), siblings in tops.items():
        found[root][key] = _last(siblings, children, state.delete_set)
    return RootMaps(found[ROOT], found[CONTROL])


def advance(maps: RootMaps, update: Update) -> RootMaps | None:
    """The root maps after an update to the document of `maps`, or None if only `read` can tell.

    An item whose origin is the last item of its key has no siblings, so it becomes the last item.
    """
    entries = {ROOT: dict(maps.root), CONTROL: dict(maps.control)}
    slots = {entry.at: (root, key) for root in entries for key, entry in entries[root].items()}
    for client, structs in update.structs.items():
        for struct in structs:
            if struct.kind not in (ANY, DELETED) or struct.right_origin is not None:
                return None
            origin = struct.origin
            slot = slots.pop(origin, None) if origin else _new_slot(struct, entries)
            if slot is None:
                return None
            at = (client, struct.clock + struct.length - 1)
            slots[at] = slot
            entries[slot[0]][slot[1]] = RootMapEntry(at, struct.kind == DELETED, struct)
    for client, start, end in update.delete_set:
        for at, (root, key) in slots.items():
            if at[0] == client and start <= at[1] < end:
                entries[root][key] = RootMapEntry(at, True, entries[root][key].struct)
    return RootMaps(entries[ROOT], entries[CONTROL])


def _new_slot(
    struct: Struct, entries: Mapping[str, Mapping[str, RootMapEntry]]
) -> tuple[str, str] | None:
    """Root and key of an item that is the first of its key; None for any other item."""
    root, key = struct.parent, struct.key
    if not isinstance(root, str) or root not in entries or key is None or key in entries[root]:
        return None
    return root, key


def _last(
    siblings: list[tuple[int, Struct]],
    children: Mapping[Id, list[tuple[int, Struct]]],
    deleted: DeleteSet,
) -> RootMapEntry:
    while True:
        client, struct = siblings[0] if len(siblings) == 1 else max(siblings, key=_client)
        at = (client, struct.clock + struct.length - 1)
        below = children.get(at)
        if below is None:
            return RootMapEntry(at, struct.kind == DELETED or deleted.contains(*at), struct)
        siblings = below


def _client(sibling: tuple[int, Struct]) -> int:
    return sibling[0]


def change(
    maps: RootMaps, edits: Edits, client: int, clock: int, expires_at: float | None = None
) -> Update:
    """The update that makes `edits` and sets the expiry, written by `client`, whose next clock is `clock`.

    Equal edits have equal bytes, whatever the order of members in the request was. No struct names `client`.
    """
    writer = _UpdateBuilder(client, clock)
    for key in sorted(edits.set_leaves):
        writer.set_key(ROOT, key, edits.set_leaves[key], maps.root.get(key))
    for key in edits.drop_leaves:
        writer.drop(maps.root[key])
    for name in sorted(edits.arrays):
        writer.edit_array(name, _places(maps, name), edits.arrays[name])
    for name in sorted(edits.texts):
        writer.edit_text(name, _places(maps, name), edits.texts[name])
    if expires_at is not None:
        writer.set_key(CONTROL, EXPIRES, expires_at, maps.control.get(EXPIRES))
    return writer.update()


def _places(maps: RootMaps, name: str) -> Places:
    shown = None if maps.lists is None else maps.lists.get(name)
    return Places(shown or VisibleList())


_AFTER_ORIGIN = bytes((ANY | HAS_ORIGIN,))
_NEW_KEY = {root: bytes((ANY | HAS_KEY, 1)) + var_string(root) for root in ROOT_MAP_NAMES}
"""First bytes of a struct: for a key with an item, and for a new key of each root map."""


class _UpdateBuilder:
    """Collects the structs and deletions of one update."""

    def __init__(self, client: int, clock: int) -> None:
        self._client = client
        self._clock = clock
        self._structs: list[Struct] = []
        self._deleted: list[tuple[int, int, int]] = []

    def set_key(self, root: str, key: str, value: Json, previous: RootMapEntry | None) -> None:
        content = b"\1" + encode_any(value)
        if previous is None:
            self._add(_NEW_KEY[root] + var_string(key), content, None, root, key)
        else:
            origin = var_uint(previous.at[0]) + var_uint(previous.at[1])
            self._add(_AFTER_ORIGIN + origin, content, previous.at, None, None)
            self.drop(previous)

    def drop(self, entry: RootMapEntry) -> None:
        if not entry.is_deleted:
            client, clock = entry.at
            self._deleted.append((client, clock, clock + 1))

    def edit_array(self, name: str, places: Places, splices: Sequence[Splice]) -> None:
        for splice in splices:
            self._deleted += places.ranges(splice.index, splice.removed)
            if splice.added:
                size = len(splice.added)
                content = var_uint(size) + b"".join(map(encode_any, splice.added))
                self._insert(ANY, size, content, places.before(splice.index), name)

    def edit_text(self, name: str, places: Places, splice: TextSplice) -> None:
        self._deleted += places.ranges(splice.index, splice.removed)
        if splice.added:
            size = len(splice.added.encode("utf-16-le")) // 2
            place = places.behind_deleted(splice.index)
            self._insert(STRING, size, var_string(splice.added), place, name)

    def _insert(self, kind: int, length: int, content: bytes, place: Place, root: str) -> None:
        self._structs.append(new_struct(kind, self._clock, length, content, place, root))
        self._clock += length

    def _add(
        self, head: bytes, content: bytes, origin: Id | None, parent: str | None, key: str | None
    ) -> None:
        self._structs.append(
            Struct(ANY, self._clock, 1, origin, None, parent, key, head + content, len(head))
        )
        self._clock += 1

    def update(self) -> Update:
        deleted = DeleteSet.from_ranges(self._deleted) if self._deleted else EMPTY_DELETE_SET
        return Update({self._client: self._structs} if self._structs else {}, deleted)
