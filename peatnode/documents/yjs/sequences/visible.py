"""What a list shows: its visible units in order, and of the deleted ones between them only the outermost ids.

That is enough to make a change and to carry one forward whose neighbours stand side by side in the list: Yjs compares
nothing then, and the new item stands between them. For any other change, the list must be read again from all items.
The neighbours that a change names must be those of the list, deleted or not: with the next visible unit as the right
origin, Yjs itself does not converge.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate, repeat
from typing import NamedTuple

from peatnode.documents.yjs.any_value import Json, read_any
from peatnode.documents.yjs.json_content import as_any
from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, skip_any, var_string, var_uint
from peatnode.documents.yjs.sequences.items import Item
from peatnode.documents.yjs.structs import (
    ANY,
    DELETED,
    HAS_ORIGIN,
    HAS_RIGHT_ORIGIN,
    STRING,
    Id,
    Struct,
)

_NO_DEPTH_LIMIT = 1 << 16  # the decoder has checked the depth


class NotReadable(Exception):
    """A list shows something else than plain values or plain text."""


class DeletedSpan(NamedTuple):
    """Deleted units that stand side by side."""

    first: Id
    last: Id


class Run(NamedTuple):
    """Visible units of one client that stand side by side."""

    kind: int
    """ANY: elements of an array; STRING: UTF-16 units of a text."""
    client: int
    clock: int
    length: int
    content: bytes
    """The encoded values one after the other, or the text in UTF-8."""
    span: DeletedSpan | None
    """The deleted units to the right of the run."""

    @property
    def end(self) -> int:
        return self.clock + self.length

    @property
    def first_id(self) -> Id:
        return self.client, self.clock

    def split(self, offset: int) -> tuple[Run, Run]:
        """The first `offset` units and the others, 0 < offset < length."""
        if self.kind == ANY:
            at = 0
            for _ in range(offset):
                at = skip_any(self.content, at, _NO_DEPTH_LIMIT)
            left, right = self.content[:at], self.content[at:]
        else:
            units = self.content.decode().encode("utf-16-le")
            left, right = (
                part.decode("utf-16-le", "replace").encode()
                for part in (units[: 2 * offset], units[2 * offset :])
            )
        rest = Run(
            self.kind, self.client, self.clock + offset, self.length - offset, right, self.span
        )
        return Run(self.kind, self.client, self.clock, offset, left, None), rest


class Place(NamedTuple):
    """A place between two units that stand side by side; None at an end of the list."""

    origin: Id | None
    right_origin: Id | None


def run_of(client: int, struct: Struct, span: DeletedSpan | None) -> Run:
    """Raises NotReadable for other content than plain values and plain text."""
    if struct.kind == STRING:
        content = read_chunk(struct.raw, struct.content_at)[0]
        return Run(STRING, client, struct.clock, struct.length, content, span)
    struct = as_any(struct)
    if struct.kind != ANY:
        raise NotReadable(f"content kind {struct.kind}")
    start = read_var_uint(struct.raw, struct.content_at)[1]
    return Run(ANY, client, struct.clock, struct.length, struct.raw[start:], span)


class VisibleList:
    """The visible runs of one list. It changes in place."""

    __slots__ = ("head", "runs")

    def __init__(self, runs: Iterable[Run] = (), head: DeletedSpan | None = None) -> None:
        self.runs = list(runs)
        self.head = head
        """The deleted units at the beginning of the list."""

    @classmethod
    def of(cls, items: Iterable[Item]) -> VisibleList:
        """What a list of items shows. Raises NotReadable."""
        shown = cls()
        for item in items:
            if item.is_deleted:
                shown._extend_span(item.first_id, item.last_id)
            else:
                shown.runs.append(run_of(item.client, item.struct, None))
        return shown

    def shows_only(self, kind: int) -> bool:
        return all(run.kind == kind for run in self.runs)

    def values(self) -> list[Json]:
        """The elements of an array, in which bytes are in base64."""
        values: list[Json] = []
        for run in self.runs:
            pos = 0
            for _ in repeat(None, run.length):
                value, pos = read_any(run.content, pos)
                values.append(value)
        return values

    def text(self) -> str:
        return b"".join(run.content for run in self.runs).decode()

    def insert(self, client: int, struct: Struct) -> bool:
        """Inserts an item between its neighbours. False if they do not stand side by side here.

        Raises NotReadable.
        """
        at = self._index_behind(struct.origin)
        if at is None:
            return False
        span = self._span(at)
        behind = span is not None and span.last == struct.origin
        right = span.first if span is not None and not behind else self._first_id(at)
        if struct.right_origin != right:
            return False
        first, last = (client, struct.clock), (client, struct.end - 1)
        if struct.kind == DELETED:
            if span is None:
                self._set_span(at, DeletedSpan(first, last))
            else:
                self._set_span(
                    at, DeletedSpan(span.first, last) if behind else DeletedSpan(first, span.last)
                )
            return True
        if not behind:
            self._set_span(at, None)
        self._insert_run(at, run_of(client, struct, None if behind else span))
        return True

    def _index_behind(self, origin: Id | None) -> int | None:
        """The index behind the run that contains `origin`, or whose span ends with it; None: there is no such run.

        A run that goes on behind `origin` is split there.
        """
        if origin is None or (self.head is not None and self.head.last == origin):
            return 0
        client, clock = origin
        for at, run in enumerate(self.runs):
            if run.client == client and run.clock <= clock < run.end:
                if clock + 1 < run.end:
                    self.runs[at : at + 1] = run.split(clock + 1 - run.clock)
                return at + 1
            if run.span is not None and run.span.last == origin:
                return at + 1
        return None

    def _span(self, at: int) -> DeletedSpan | None:
        """The span before the run of this index."""
        return self.runs[at - 1].span if at else self.head

    def _set_span(self, at: int, span: DeletedSpan | None) -> None:
        if at:
            self.runs[at - 1] = self.runs[at - 1]._replace(span=span)
        else:
            self.head = span

    def _extend_span(self, first: Id, last: Id) -> None:
        """Adds deleted units at the end of the list."""
        span = self._span(len(self.runs))
        self._set_span(len(self.runs), DeletedSpan(first if span is None else span.first, last))

    def _first_id(self, at: int) -> Id | None:
        return self.runs[at].first_id if at < len(self.runs) else None

    def _insert_run(self, at: int, run: Run) -> None:
        left = self.runs[at - 1] if at else None
        if (
            left is not None
            and left.span is None
            and (left.kind, left.client, left.end) == (run.kind, run.client, run.clock)
        ):
            self.runs[at - 1] = left._replace(
                length=left.length + run.length, content=left.content + run.content, span=run.span
            )
        else:
            self.runs.insert(at, run)

    def delete(self, client: int, start: int, end: int) -> None:
        """Removes the units of a range of clocks, as far as they are visible."""
        if not any(
            run.client == client and run.clock < end and start < run.end for run in self.runs
        ):
            return
        runs, self.runs = self.runs, []
        for run in runs:
            if run.client != client or end <= run.clock or run.end <= start:
                self.runs.append(run)
            else:
                self._append_rest(run, start, end)

    def _append_rest(self, run: Run, start: int, end: int) -> None:
        """Appends what remains of a run without the units from `start` up to `end`."""
        if run.clock < start:
            left, run = run.split(start - run.clock)
            self.runs.append(left)
        self._extend_span(run.first_id, (run.client, min(end, run.end) - 1))
        if end < run.end:
            self.runs.append(run.split(end - run.clock)[1])
        elif run.span is not None:
            self._extend_span(*run.span)


class Places:
    """Finds places and ids by the index among the visible units of a list."""

    def __init__(self, shown: VisibleList) -> None:
        self._runs = tuple(shown.runs)
        self._head = shown.head
        self._ends = list(accumulate(run.length for run in self._runs))

    def before(self, index: int) -> Place:
        """The place right behind the visible unit `index` - 1: there, Yjs inserts into arrays."""
        origin, span, right = self._around(index)
        return Place(origin, right if span is None else span.first)

    def behind_deleted(self, index: int) -> Place:
        """The place right before the visible unit `index`: there, Yjs inserts into texts."""
        origin, span, right = self._around(index)
        return Place(origin if span is None else span.last, right)

    def _around(self, index: int) -> tuple[Id | None, DeletedSpan | None, Id | None]:
        """The visible unit before `index`, the span behind it, and the visible unit of `index`."""
        first = self._runs[0].first_id if self._runs else None
        if index == 0:
            return None, self._head, first
        at = bisect_left(self._ends, index)
        run, rest = self._runs[at], self._ends[at] - index
        origin = run.client, run.end - 1 - rest
        if rest:
            return origin, None, (run.client, run.end - rest)
        after = self._runs[at + 1].first_id if at + 1 < len(self._runs) else None
        return origin, run.span, after

    def ranges(self, index: int, count: int) -> Iterator[tuple[int, int, int]]:
        """(client, start, end) of the clocks of `count` visible units from `index` on."""
        begin = 0
        for run, end in zip(self._runs, self._ends, strict=True):
            first, last = max(index, begin), min(index + count, end)
            if first < last:
                yield run.client, run.clock + first - begin, run.clock + last - begin
            begin = end


def new_struct(
    kind: int, clock: int, length: int, content: bytes, place: Place, root: str
) -> Struct:
    """A struct at a place in the list of the root type `root`. `content` is encoded with its length."""
    info, head, parent = kind, b"", None
    if place.origin is not None:
        info |= HAS_ORIGIN
        head = var_uint(place.origin[0]) + var_uint(place.origin[1])
    if place.right_origin is not None:
        info |= HAS_RIGHT_ORIGIN
        head += var_uint(place.right_origin[0]) + var_uint(place.right_origin[1])
    if not head:
        parent = root
        head = b"\1" + var_string(root)
    head = bytes((info,)) + head
    raw = head + content
    return Struct(
        kind, clock, length, place.origin, place.right_origin, parent, None, raw, len(head)
    )
