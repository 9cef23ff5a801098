"""What the visible items of a list contain: the values of an array, the characters of a text."""

from __future__ import annotations

from peatnode.documents.yjs.any_value import Json, read_any
from peatnode.documents.yjs.json_content import as_any
from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint
from peatnode.documents.yjs.sequences.items import ItemList
from peatnode.documents.yjs.structs import ANY, BINARY, JSON, STRING, Struct

_VALUES = frozenset((ANY, BINARY, JSON))


def visible_kinds(items: ItemList) -> frozenset[int]:
    """The kinds of content that the items show."""
    return frozenset(item.struct.kind for item in items if not item.is_deleted)


def is_array(kinds: frozenset[int]) -> bool:
    """Whether `read_values` can read a list with these visible kinds."""
    return kinds <= _VALUES


def is_text(kinds: frozenset[int]) -> bool:
    """Whether `read_text` can read a list with these visible kinds."""
    return kinds <= {STRING}


def read_values(items: ItemList) -> list[Json]:
    """The elements of an array. Bytes are read in base64."""
    values: list[Json] = []
    for item in items:
        if not item.is_deleted:
            _read_struct(item.struct, values)
    return values


def _read_struct(struct: Struct, values: list[Json]) -> None:
    if struct.kind != ANY:
        struct = as_any(struct)
    raw = struct.raw
    _, pos = read_var_uint(raw, struct.content_at)
    for _ in range(struct.length):
        value, pos = read_any(raw, pos)
        values.append(value)


def read_text(items: ItemList) -> str:
    """The characters of a text."""
    return "".join(
        read_chunk(item.struct.raw, item.struct.content_at)[0].decode()
        for item in items
        if not item.is_deleted
    )
