"""Decodes the structs of an update strictly: the hot loop of the codec.

`_read_client` is one long function on purpose: one call for each field would triple the time of a struct, and each
update from a peer or a client is decoded here. Single bytes are read without a check, because a read beyond the end
raises IndexError, which `decode_update` translates.
"""

from peatnode.documents.limits import NESTS_TOO_DEEP, UpdateLimits
from peatnode.documents.yjs.lib0 import (
    check_json,
    read_chunk,
    read_string,
    read_var_tail,
    read_var_uint,
    skip_any,
)
from peatnode.documents.yjs.structs import (
    ANY,
    BINARY,
    DELETED,
    EMBED,
    FORMAT,
    GC,
    HAS_KEY,
    HAS_ORIGIN,
    HAS_RIGHT_ORIGIN,
    JSON,
    SKIP,
    STRING,
    TYPE,
    Id,
    Struct,
)
from peatnode.errors import MalformedUpdate

Deleted = list[tuple[int, int, int]]

_ROOT_PARENT, _ITEM_PARENT = 1, 0
_NAMED_TYPES = frozenset((3, 5))  # XML elements and hooks include their name
_LAST_TYPE = 6
_NO_ITEM = frozenset((GC, SKIP))
_ONLY_LENGTH = frozenset((GC, SKIP, DELETED))
_CONTENT = 0x1F
_ANY_STRING = 119


def read_structs(data: bytes, limits: UpdateLimits) -> tuple[dict[int, list[Struct]], Deleted, int]:
    """Structs of each client, the clocks that GC and DELETED structs delete, and the position after the structs.

    Raises MalformedUpdate, and IndexError or UnicodeDecodeError for the caller to translate.
    """
    clients, pos = read_var_uint(data, 0)
    if clients > limits.max_clients:
        raise MalformedUpdate("too many clients", pos)
    if clients > len(data) - pos:
        raise MalformedUpdate("more clients than bytes", pos)
    structs: dict[int, list[Struct]] = {}
    seen: set[int] = set()
    deleted: Deleted = []
    budget = limits.max_structs
    for _ in range(clients):
        count, pos = read_var_uint(data, pos)
        if count > budget:
            raise MalformedUpdate("too many structs", pos)
        if count > len(data) - pos:
            raise MalformedUpdate("more structs than bytes", pos)
        budget -= count
        start = pos
        client, pos = read_var_uint(data, pos)
        if client in seen:
            raise MalformedUpdate("a client occurs twice", start)
        seen.add(client)
        found, pos = _read_client(data, pos, client, data[start:pos], count, deleted, limits)
        if found:
            structs[client] = found
    return structs, deleted, pos


def _read_client(
    data: bytes,
    pos: int,
    client: int,
    client_bytes: bytes,
    count: int,
    deleted: Deleted,
    limits: UpdateLimits,
) -> tuple[list[Struct], int]:
    """`client_bytes` is the encoded client id: most ids name their own client, and comparing is faster than reading."""
    end, max_clock, max_depth = len(data), limits.max_clock, limits.max_depth
    client_size, starts_with, new = len(client_bytes), data.startswith, tuple.__new__
    found: list[Struct] = []
    anchors: set[tuple[str | Id, str | None]] = set()
    unanchored = 0
    clock, pos = read_var_uint(data, pos)
    for _ in range(count):
        start = pos
        info = data[pos]
        pos += 1
        kind = info & _CONTENT
        origin: Id | None = None
        right_origin: Id | None = None
        parent: str | Id | None = None
        key: str | None = None
        if kind in _NO_ITEM:
            if info != kind:
                raise MalformedUpdate("flags on a struct that has no item", start)
        else:
            if info & HAS_ORIGIN:
                if starts_with(client_bytes, pos):
                    pos += client_size
                    owner = client
                else:
                    owner, pos = read_var_uint(data, pos)
                at = data[pos]
                pos += 1
                if at > 127:
                    at, pos = read_var_tail(data, pos, at)
                if at > max_clock or (owner == client and at >= clock):
                    raise MalformedUpdate("origin in the future", start)
                origin = (owner, at)
            if info & HAS_RIGHT_ORIGIN:
                if starts_with(client_bytes, pos):
                    pos += client_size
                    owner = client
                else:
                    owner, pos = read_var_uint(data, pos)
                at = data[pos]
                pos += 1
                if at > 127:
                    at, pos = read_var_tail(data, pos, at)
                if at > max_clock or (owner == client and at >= clock):
                    raise MalformedUpdate("right origin in the future", start)
                right_origin = (owner, at)
            elif origin is None:
                parent_kind = data[pos]
                pos += 1
                if parent_kind == _ROOT_PARENT:
                    size = data[pos]
                    pos += 1
                    if size > 127:
                        size, pos = read_var_tail(data, pos, size)
                    after = pos + size
                    if after > end:
                        raise MalformedUpdate("name beyond the end", pos)
                    parent = data[pos:after].decode()
                    pos = after
                elif parent_kind == _ITEM_PARENT:
                    owner, pos = read_var_uint(data, pos)
                    at, pos = read_var_uint(data, pos)
                    if at > max_clock or (owner == client and at >= clock):
                        raise MalformedUpdate("parent in the future", start)
                    parent = (owner, at)
                else:
                    raise MalformedUpdate("unknown kind of parent", pos)
                if info & HAS_KEY:
                    size = data[pos]
                    pos += 1
                    if size > 127:
                        size, pos = read_var_tail(data, pos, size)
                    after = pos + size
                    if after > end:
                        raise MalformedUpdate("key beyond the end", pos)
                    key = data[pos:after].decode()
                    if size > limits.max_levels and key.count("/") > limits.max_levels:
                        raise MalformedUpdate(NESTS_TOO_DEEP, pos)
                    pos = after
                # A correct client gives each item an origin, except the first item that it writes into a place.
                anchor = (parent, key)
                if anchor in anchors:
                    unanchored += 1
                    if unanchored > limits.max_unanchored:
                        raise MalformedUpdate("a second item without an origin in one place", start)
                anchors.add(anchor)
        content_at = pos - start
        if kind == ANY:
            length = data[pos]
            pos += 1
            if length == 1 and data[pos] == _ANY_STRING:
                size = data[pos + 1]
                pos += 2
                if size > 127:
                    size, pos = read_var_tail(data, pos, size)
                after = pos + size
                if after > end:
                    raise MalformedUpdate("string beyond the end", pos)
                chunk = data[pos:after]
                if not chunk.isascii():
                    chunk.decode()
                pos = after
            else:
                if length > 127:
                    length, pos = read_var_tail(data, pos, length)
                if length > end - pos:
                    raise MalformedUpdate("more values than bytes", pos)
                for _ in range(length):
                    pos = skip_any(data, pos, max_depth)
        elif kind == STRING:
            size = data[pos]
            pos += 1
            if size > 127:
                size, pos = read_var_tail(data, pos, size)
            after = pos + size
            if after > end:
                raise MalformedUpdate("string beyond the end", pos)
            chunk = data[pos:after]
            length = size if chunk.isascii() else len(chunk.decode().encode("utf-16-le")) >> 1
            pos = after
        elif kind in _ONLY_LENGTH:
            length = data[pos]
            pos += 1
            if length > 127:
                length, pos = read_var_tail(data, pos, length)
            if kind != SKIP:
                deleted.append((client, clock, clock + length))
        else:
            length, pos = _skip_content(kind, data, pos, max_depth)
        after = clock + length
        if after > max_clock:
            raise MalformedUpdate("clock too large", start)
        if kind != SKIP:
            if not length:
                raise MalformedUpdate("struct without length", start)
            raw = data[start:pos]
            found.append(
                new(
                    Struct,
                    (kind, clock, length, origin, right_origin, parent, key, raw, content_at),
                )
            )
        clock = after
    if pos > end:
        raise MalformedUpdate("truncated", end)
    return found, pos


def _skip_content(kind: int, data: bytes, pos: int, max_depth: int) -> tuple[int, int]:
    """Length in clocks of a less common content, and the position after it."""
    if kind == BINARY:
        return 1, read_chunk(data, pos)[1]
    if kind == EMBED:
        return 1, _skip_json(data, pos, max_depth)
    if kind == FORMAT:
        return 1, _skip_json(data, read_string(data, pos)[1], max_depth)
    if kind == TYPE:
        return 1, _skip_type(data, pos)
    if kind == JSON:
        return _skip_json_values(data, pos, max_depth)
    raise MalformedUpdate(f"content kind {kind} is not supported", pos)


def _skip_json(data: bytes, pos: int, max_depth: int) -> int:
    chunk, after = read_chunk(data, pos)
    check_json(chunk, pos, max_depth)
    return after


def _skip_json_values(data: bytes, pos: int, max_depth: int) -> tuple[int, int]:
    """Skips a list of JSON texts, some of which may be `undefined`."""
    count, pos = read_var_uint(data, pos)
    if count > len(data) - pos:
        raise MalformedUpdate("more values than bytes", pos)
    for _ in range(count):
        chunk, after = read_chunk(data, pos)
        if chunk != b"undefined":
            check_json(chunk, pos, max_depth)
        pos = after
    return count, pos


def _skip_type(data: bytes, pos: int) -> int:
    ref, pos = read_var_uint(data, pos)
    if ref > _LAST_TYPE:
        raise MalformedUpdate(f"unknown type {ref}", pos)
    return read_string(data, pos)[1] if ref in _NAMED_TYPES else pos
