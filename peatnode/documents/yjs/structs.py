"""The structs of an update: items, and runs of garbage-collected clocks.

Contents stay encoded. They are decoded only where a struct is cut in two or joined with its neighbour. Source of the
layout and of the rules: Yjs, src/structs/Item.js and Content*.js.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, skip_any, var_string, var_uint

GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOC, SKIP = range(11)
"""The kinds of content: the low five bits of a struct's first byte."""

HAS_ORIGIN, HAS_RIGHT_ORIGIN, HAS_KEY = 0x80, 0x40, 0x20
"""The flags of a struct: the high bits of its first byte."""

JOINABLE = frozenset((DELETED, JSON, STRING, ANY))
"""Kinds of content that Yjs joins with a right neighbour of the same kind."""

_NO_DEPTH_LIMIT = 1 << 16  # the decoder has checked the depth

Id: TypeAlias = tuple[int, int]
"""Client and clock of one unit of a struct."""


class Struct(NamedTuple):
    """A run of `length` clocks of one client, and its encoded bytes."""

    kind: int
    """GC, or the kind of an item's content. There are no SKIP structs: a gap between clocks has the same meaning."""
    clock: int
    length: int
    """The number of clocks: UTF-16 units of a string, values of an array, otherwise one."""
    origin: Id | None
    right_origin: Id | None
    parent: str | Id | None
    """Name of a root type, or id of the item that holds the type; None: the parent is that of the origin."""
    key: str | None
    """Key in the parent map; only together with a parent."""
    raw: bytes
    """The encoded struct."""
    content_at: int
    """Where in `raw` the content begins."""

    @property
    def end(self) -> int:
        return self.clock + self.length

    @property
    def place(self) -> tuple[Id | None, Id | None, str | Id | None, str | None]:
        """What its writer says about where it belongs. It does not change when the item is deleted."""
        return self.origin, self.right_origin, self.parent, self.key


def gc_struct(clock: int, length: int) -> Struct:
    """A run of garbage-collected clocks."""
    raw = b"\0" + var_uint(length)
    return Struct(GC, clock, length, None, None, None, None, raw, 1)


def with_content(struct: Struct, kind: int, length: int, content: bytes) -> Struct:
    """The same place in the document with another content."""
    head = bytes((struct.raw[0] & 0xE0 | kind,)) + struct.raw[1 : struct.content_at]
    return struct._replace(kind=kind, length=length, raw=head + content)


def cut_left(struct: Struct, offset: int) -> Struct:
    """The first `offset` clocks, 0 < offset < length."""
    if struct.kind == GC:
        return gc_struct(struct.clock, offset)
    return with_content(struct, struct.kind, offset, _cut_content(struct, offset)[0])


def cut_right(client: int, struct: Struct, offset: int) -> Struct:
    """All but the first `offset` clocks, 0 < offset < length. The origin is the clock left of the cut."""
    clock, length = struct.clock + offset, struct.length - offset
    if struct.kind == GC:
        return gc_struct(clock, length)
    info = struct.kind | HAS_ORIGIN
    origin = (client, clock - 1)
    head = var_uint(client) + var_uint(clock - 1)
    if struct.right_origin is not None:
        info |= HAS_RIGHT_ORIGIN
        head += var_uint(struct.right_origin[0]) + var_uint(struct.right_origin[1])
    raw = bytes((info,)) + head + _cut_content(struct, offset)[1]
    at = 1 + len(head)
    return Struct(struct.kind, clock, length, origin, struct.right_origin, None, None, raw, at)


def _cut_content(struct: Struct, offset: int) -> tuple[bytes, bytes]:
    rest = struct.length - offset
    if struct.kind == DELETED:
        return var_uint(offset), var_uint(rest)
    if struct.kind == STRING:
        left, right = _cut_text(struct, offset)
        return var_string(left), var_string(right)
    assert struct.kind in (ANY, JSON), "contents of length one cannot be cut"
    _, start = read_var_uint(struct.raw, struct.content_at)
    pos = start
    for _ in range(offset):
        pos = (
            skip_any(struct.raw, pos, _NO_DEPTH_LIMIT)
            if struct.kind == ANY
            else read_chunk(struct.raw, pos)[1]
        )
    return var_uint(offset) + struct.raw[start:pos], var_uint(rest) + struct.raw[pos:]


def _cut_text(struct: Struct, offset: int) -> tuple[str, str]:
    """Cuts a string between UTF-16 units. Both halves of a surrogate pair become U+FFFD, as in Yjs."""
    chunk, _ = read_chunk(struct.raw, struct.content_at)
    units = chunk.decode().encode("utf-16-le")
    left, right = units[: 2 * offset], units[2 * offset :]
    if 0xD8 <= left[-1] <= 0xDB:
        left, right = left[:-2] + b"\xfd\xff", b"\xfd\xff" + right[2:]
    return left.decode("utf-16-le"), right.decode("utf-16-le")


def is_joinable(client: int, left: Struct, right: Struct) -> bool:
    """Whether Yjs would join these two neighbours of one client."""
    if left.kind != right.kind or left.end != right.clock:
        return False
    if left.kind == GC:
        return True
    return (
        left.kind in JOINABLE
        and right.origin == (client, right.clock - 1)
        and right.right_origin == left.right_origin
    )


def join(run: Sequence[Struct]) -> Struct:
    """The struct that replaces a run in which all neighbours are joinable."""
    first = run[0]
    if len(run) == 1:
        return first
    length = sum(struct.length for struct in run)
    if first.kind == GC:
        return gc_struct(first.clock, length)
    if first.kind == DELETED:
        return with_content(first, DELETED, length, var_uint(length))
    bodies = [s.raw[read_var_uint(s.raw, s.content_at)[1] :] for s in run]
    size = sum(map(len, bodies)) if first.kind == STRING else length
    return with_content(first, first.kind, length, var_uint(size) + b"".join(bodies))
