"""Root maps and lists in few bytes, for a cache: an object for each item would take ten times as much."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgpack

from peatnode.documents.json.root_maps import RootMapEntry, RootMaps
from peatnode.documents.yjs.sequences.visible import DeletedSpan, Run, VisibleList
from peatnode.documents.yjs.structs import ANY, Struct

_BUFFER_BYTES = 2048


def pack(maps: RootMaps) -> bytes:
    lists = {name: [*_run_fields(shown)] for name, shown in (maps.lists or {}).items()}
    fields = ([*_entry_fields(maps.root)], [*_entry_fields(maps.control)], lists)
    packed: bytes = msgpack.packb(fields, buf_size=_BUFFER_BYTES)
    return packed


def _entry_fields(entries: Mapping[str, RootMapEntry]) -> Iterator[object]:
    for key, entry in entries.items():
        yield from (key, *entry.at, None if entry.is_deleted else entry.content())


def _run_fields(shown: VisibleList) -> Iterator[object]:
    yield _span_fields(shown.head)
    for run in shown.runs:
        yield from (*run[:5], _span_fields(run.span))


def _span_fields(span: DeletedSpan | None) -> tuple[int, int, int, int] | None:
    return None if span is None else (*span.first, *span.last)


def unpack(packed: bytes) -> RootMaps:
    """The root maps and lists, which nobody else holds."""
    root, control, lists = msgpack.unpackb(packed)
    return RootMaps(_entries(root), _entries(control), {n: _list(f) for n, f in lists.items()})


def _entries(fields: list[Any]) -> dict[str, RootMapEntry]:
    found = {}
    for at in range(0, len(fields), 4):
        key, client, clock, content = fields[at : at + 4]
        struct = Struct(ANY, clock, 1, None, None, None, None, content or b"", 0)
        found[key] = RootMapEntry((client, clock), content is None, struct)
    return found


def _list(fields: list[Any]) -> VisibleList:
    return VisibleList(_runs(fields), _span(fields[0]))


def _runs(fields: list[Any]) -> Iterator[Run]:
    for at in range(1, len(fields), 6):
        kind, client, clock, length, content, span = fields[at : at + 6]
        yield Run(kind, client, clock, length, content, _span(span))


def _span(fields: list[int] | None) -> DeletedSpan | None:
    return None if fields is None else DeletedSpan((fields[0], fields[1]), (fields[2], fields[3]))
