"""Two lists of structs of one client, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from peatnode.documents.yjs.clocks.ranges import MAX_CLOCK
from peatnode.documents.yjs.structs import Struct, cut_left, cut_right


def aligned(
    client: int, left: Sequence[Struct], right: Sequence[Struct]
) -> Iterator[tuple[Struct | None, Struct | None]]:
    """Both lists, cut into pairs of the same clocks; None where one list has no struct."""
    lists = iter(left), iter(right)
    first, second = next(lists[0], None), next(lists[1], None)
    while first is not None or second is not None:
        start = min(struct.clock for struct in (first, second) if struct is not None)
        end = min(_bounds_after(first, start), _bounds_after(second, start))
        one, first = _part(client, first, start, end)
        other, second = _part(client, second, start, end)
        yield one, other
        if first is None:
            first = next(lists[0], None)
        if second is None:
            second = next(lists[1], None)


def _bounds_after(struct: Struct | None, clock: int) -> int:
    """The next clock after `clock` at which a struct begins or ends."""
    if struct is None:
        return MAX_CLOCK
    return struct.clock if struct.clock > clock else struct.end


def _part(
    client: int, struct: Struct | None, start: int, end: int
) -> tuple[Struct | None, Struct | None]:
    """The part from `start` to `end` and the rest of a struct that begins at `start` or later."""
    if struct is None or struct.clock > start:
        return None, struct
    if struct.end == end:
        return struct, None
    offset = end - start
    return cut_left(struct, offset), cut_right(client, struct, offset)
