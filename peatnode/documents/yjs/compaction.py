"""Compaction of updates: smaller updates of equal meaning."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from peatnode.documents.yjs.clocks.ranges import MAX_CLOCK, Range
from peatnode.documents.yjs.lib0 import var_uint
from peatnode.documents.yjs.structs import (
    DELETED,
    GC,
    TYPE,
    Struct,
    cut_left,
    cut_right,
    is_joinable,
    join,
    with_content,
)
from peatnode.documents.yjs.update import Update


def compact(update: Update) -> Update:
    """Drops the content of deleted clocks, and joins the structs that Yjs would join.

    State vector, delete set and the meaning of every id stay the same. A deleted type stays a type, because a
    concurrent write may be inside it (y-py breaks the document if it finds no type there).
    """
    structs = {
        client: joined(client, _emptied(client, known, update.delete_set.ranges.get(client, ())))
        for client, known in update.structs.items()
    }
    return Update(structs, update.delete_set)


def joined(client: int, structs: Iterable[Struct]) -> list[Struct]:
    """The structs, at least one, after all neighbours that Yjs would join are joined."""
    rest = iter(structs)
    run = [next(rest)]
    found: list[Struct] = []
    for struct in rest:
        if not is_joinable(client, run[-1], struct):
            found.append(join(run))
            run = []
        run.append(struct)
    found.append(join(run))
    return found


def _emptied(client: int, structs: Sequence[Struct], deleted: Sequence[Range]) -> Iterator[Struct]:
    """The structs, cut at the bounds of deleted ranges, with the content of the deleted parts removed."""
    for struct in structs:
        if not deleted or struct.kind in (GC, DELETED, TYPE):
            yield struct
            continue
        for part, is_deleted in divided(client, struct, deleted):
            if is_deleted:
                yield with_content(part, DELETED, part.length, var_uint(part.length))
            else:
                yield part


def divided(client: int, struct: Struct, deleted: Sequence[Range]) -> Iterator[tuple[Struct, bool]]:
    """The parts of a struct, cut at the bounds of deleted ranges, and whether each of them is deleted."""
    at = max(bisect_right(deleted, (struct.clock, MAX_CLOCK)) - 1, 0)
    rest: Struct | None = struct
    while rest is not None and at < len(deleted) and deleted[at][0] < rest.end:
        start, end = deleted[at]
        at += 1
        if end <= rest.clock:
            continue
        if start > rest.clock:
            yield cut_left(rest, start - rest.clock), False
            rest = cut_right(client, rest, start - rest.clock)
        part, rest = _cut_at(client, rest, end)
        yield part, True
    if rest is not None:
        yield rest, False


def _cut_at(client: int, struct: Struct, clock: int) -> tuple[Struct, Struct | None]:
    """The part before `clock`, and the part from `clock` on if there is one."""
    if struct.end <= clock:
        return struct, None
    offset = clock - struct.clock
    return cut_left(struct, offset), cut_right(client, struct, offset)
