"""What is alive in a document, by clock and in few bytes, so that an update's deletions are found without its state."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from peatnode.documents.content.state_sum import live_parts
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.yjs.compaction import joined
from peatnode.documents.yjs.decode_structs import read_structs
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, skip_any, var_string, var_uint
from peatnode.documents.yjs.structs import (
    ANY,
    HAS_ORIGIN,
    HAS_RIGHT_ORIGIN,
    STRING,
    Struct,
    with_content,
)
from peatnode.documents.yjs.update import Update, encode_update

PAGE_BYTES = 512
"""Encoded structs that are decoded together."""
_PAGE_OVERHEAD = 250
"""Estimated size of a page without its structs."""
_STRUCT_OVERHEAD = 400
"""Estimated size of a decoded struct without its bytes."""
_MAX_UNITS = 512
"""Longer structs are split, so that a deletion in one costs little."""
_NO_DEPTH_LIMIT = 1 << 16  # the decoder has checked the depth


class LiveContent:
    """The live structs of one document. It changes in place."""

    def __init__(self) -> None:
        self._clients: dict[int, _ClientPages] = {}
        self.weight = 0
        """Estimated size in memory."""

    @classmethod
    def of(cls, state: Update) -> LiveContent:
        """That of a whole document. May run in a thread."""
        content = cls()
        content.add(state, state.delete_set)
        return content

    def add(self, update: Update, deleted: DeleteSet) -> None:
        """Adds the structs of an update, which follow the known ones, without the parts that are in `deleted`."""
        for client, structs in update.structs.items():
            parts = live_parts(client, structs, deleted.ranges.get(client, ()))
            pages = self._clients.get(client)
            if pages is None:
                pages = self._clients[client] = _ClientPages(client)
            self.weight -= pages.weight
            for part in parts:
                for piece in _pieces(client, part):
                    pages.append(piece)
            self.weight += pages.weight

    def remove(self, sums: UnitSums, client: int, start: int, end: int) -> tuple[int, int]:
        """Removes the units of a range. Returns how many there were, and what they added for their contents."""
        pages = self._clients.get(client)
        if pages is None:
            return 0, 0
        self.weight -= pages.weight
        removed = pages.remove(sums, start, end)
        self.weight += pages.weight
        return removed


class _ClientPages:
    """The live structs of one client by ascending clock: encoded pages, and the last structs as they are."""

    __slots__ = ("_bodies", "_client", "_ends", "_starts", "_tail", "_tail_bytes", "weight")

    def __init__(self, client: int) -> None:
        self._client = client
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._bodies: list[bytes] = []
        self._tail: list[Struct] = []
        self._tail_bytes = 0
        self.weight = _PAGE_OVERHEAD

    def append(self, struct: Struct) -> None:
        if self._tail_bytes + len(struct.raw) > PAGE_BYTES and self._tail:
            self._end_page()
        self._tail.append(struct)
        self._tail_bytes += len(struct.raw)
        self.weight += len(struct.raw) + _STRUCT_OVERHEAD

    def _end_page(self) -> None:
        """Joins what was written piece by piece, and encodes it if there is still enough for a page."""
        joined_tail = joined(self._client, self._tail)
        size = sum(len(struct.raw) for struct in joined_tail)
        if size > PAGE_BYTES // 2:
            self._insert(len(self._starts), joined_tail)
            joined_tail, size = [], 0
        self._set_tail(joined_tail)

    def _set_tail(self, structs: list[Struct]) -> None:
        self.weight -= self._tail_bytes + _STRUCT_OVERHEAD * len(self._tail)
        self._tail, self._tail_bytes = structs, sum(len(struct.raw) for struct in structs)
        self.weight += self._tail_bytes + _STRUCT_OVERHEAD * len(structs)

    def _insert(self, at: int, structs: list[Struct]) -> None:
        body = encode_update(Update({self._client: structs}))
        self._starts.insert(at, structs[0].clock)
        self._ends.insert(at, structs[-1].end)
        self._bodies.insert(at, body)
        self.weight += len(body) + _PAGE_OVERHEAD

    def _take(self, at: int) -> list[Struct]:
        """Removes a page, and returns its structs."""
        body = self._bodies.pop(at)
        del self._starts[at], self._ends[at]
        self.weight -= len(body) + _PAGE_OVERHEAD
        return read_structs(body, STATE_LIMITS)[0][self._client]

    def remove(self, sums: UnitSums, start: int, end: int) -> tuple[int, int]:
        units = total = 0
        at = bisect_right(self._ends, start)
        while at < len(self._starts) and self._starts[at] < end:
            left, found, removed = self._without(sums, self._take(at), start, end)
            if left:
                self._insert(at, left)
                at += 1
            units, total = units + found, total + removed
        if self._tail and self._tail[0].clock < end and start < self._tail[-1].end:
            left, found, removed = self._without(sums, self._tail, start, end)
            self._set_tail(left)
            units, total = units + found, total + removed
        return units, total

    def _without(
        self, sums: UnitSums, structs: Iterable[Struct], start: int, end: int
    ) -> tuple[list[Struct], int, int]:
        """The structs without a range, the number of units that were in it, and by how much their sum was larger."""
        left: list[Struct] = []
        units = total = 0
        for struct in structs:
            if struct.end <= start or end <= struct.clock:
                left.append(struct)
                continue
            parts = list(live_parts(self._client, (struct,), ((start, end),)))
            units += struct.length - sum(part.length for part in parts)
            total += sums.content(self._client, struct)
            total -= sum(sums.content(self._client, part) for part in parts)
            left += parts
        return left, units, total


def _pieces(client: int, struct: Struct) -> Iterator[Struct]:
    """A long run of text or values in several structs. No surrogate pair is cut."""
    if struct.length <= _MAX_UNITS or struct.kind not in (STRING, ANY):
        yield struct
        return
    contents = _text_pieces(struct) if struct.kind == STRING else _value_pieces(struct)
    clock = struct.clock
    for length, content in contents:
        yield _piece(client, struct, clock, length, content)
        clock += length


def _piece(client: int, struct: Struct, clock: int, length: int, content: bytes) -> Struct:
    if clock == struct.clock:
        return with_content(struct, struct.kind, length, content)
    info = struct.kind | HAS_ORIGIN
    head = var_uint(client) + var_uint(clock - 1)
    right = struct.right_origin
    if right is not None:
        info |= HAS_RIGHT_ORIGIN
        head += var_uint(right[0]) + var_uint(right[1])
    raw = bytes((info,)) + head + content
    origin = (client, clock - 1)
    return Struct(struct.kind, clock, length, origin, right, None, None, raw, 1 + len(head))


def _text_pieces(struct: Struct) -> Iterator[tuple[int, bytes]]:
    text = read_chunk(struct.raw, struct.content_at)[0].decode()
    for at in range(0, len(text), _MAX_UNITS):
        part = text[at : at + _MAX_UNITS]
        yield len(part.encode("utf-16-le")) // 2, var_string(part)


def _value_pieces(struct: Struct) -> Iterator[tuple[int, bytes]]:
    raw = struct.raw
    _, pos = read_var_uint(raw, struct.content_at)
    for at in range(0, struct.length, _MAX_UNITS):
        length, start = min(_MAX_UNITS, struct.length - at), pos
        for _ in range(length):
            pos = skip_any(raw, pos, _NO_DEPTH_LIMIT)
        yield length, var_uint(length) + raw[start:pos]
