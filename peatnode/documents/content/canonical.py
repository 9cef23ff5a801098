"""One encoding for each content of a unit, because Yjs clients encode a value anew when they pass it on.

A number may become a float of 32 or 64 bits or an integer, the members of an object may change their order, and JSON
text may be written anew. What a reader could tell apart stays apart: null and undefined, bytes and text, BigInt and
number.
"""

from __future__ import annotations

import struct as packing
from typing import Any

import orjson

from peatnode.documents.yjs.lib0 import (
    MAX_SAFE_INTEGER,
    read_chunk,
    read_var_uint,
    skip_any,
    var_string,
    var_uint,
)
from peatnode.documents.yjs.structs import ANY, EMBED, FORMAT, JSON, Struct

_UNDEFINED, _NULL, _INTEGER, _FLOAT32, _FLOAT64 = 127, 126, 125, 124, 123
_BIG_INTEGER, _FALSE, _TRUE, _STRING, _OBJECT, _ARRAY, _BYTES = 122, 121, 120, 119, 118, 117, 116
_ONE_ENCODING = frozenset((_UNDEFINED, _NULL, _BIG_INTEGER, _FALSE, _TRUE, _STRING, _BYTES))
_ONE_MEMBER = bytes((_OBJECT, 1))
_LONG = 128
"""A length of a string that takes more than one byte."""
_SIGNED = 0x40
"""The sign of an integer, in its first byte. A higher first byte says that more bytes follow."""
_UNDEFINED_VALUE = bytes((_UNDEFINED,))
_FLOATS = {_FLOAT32: ">f", _FLOAT64: ">d"}
_MINUS_ZERO, _ZERO = bytes((_INTEGER, 0x40)), bytes((_INTEGER, 0))
_NOT_A_NUMBER = bytes((_FLOAT64,)) + packing.pack(">d", float("nan"))


def canonical_contents(struct: Struct) -> list[bytes]:
    """The canonical content of each unit of an item that is neither a text nor deleted: kind and bytes."""
    kind = struct.kind.to_bytes()
    if struct.kind == ANY:
        return _canonical_values(kind, struct)
    raw, pos = struct.raw, struct.content_at
    if struct.kind == JSON:
        found = []
        _, pos = read_var_uint(raw, pos)
        for _ in range(struct.length):
            chunk, pos = read_chunk(raw, pos)
            found.append(
                kind + (_UNDEFINED_VALUE if chunk == b"undefined" else canonical_json(chunk))
            )
        return found
    if struct.kind == EMBED:
        return [kind + canonical_json(read_chunk(raw, pos)[0])]
    if struct.kind == FORMAT:
        key, pos = read_chunk(raw, pos)
        return [kind + var_uint(len(key)) + key + canonical_json(read_chunk(raw, pos)[0])]
    return [kind + raw[pos:]]


def _canonical_values(kind: bytes, struct: Struct) -> list[bytes]:
    raw = struct.raw
    found = []
    _, pos = read_var_uint(raw, struct.content_at)
    for _ in range(struct.length):
        size = raw[pos + 1] if raw[pos] == _STRING else _LONG
        if size < _LONG:  # the most frequent value: a short string
            end = pos + 2 + size
            found.append(kind + raw[pos:end])
            pos = end
        else:
            content, pos = canonical_any(raw, pos)
            found.append(kind + content)
    return found


def is_canonical(raw: bytes, pos: int) -> bool:
    """Whether the Any value at `pos` has one encoding alone, so that it is canonical for certain."""
    tag = raw[pos]
    return tag in _ONE_ENCODING or (tag == _INTEGER and raw[pos + 1] != _MINUS_ZERO[1])


def canonical_any(raw: bytes, pos: int) -> tuple[bytes, int]:
    """The canonical encoding of the Any value at `pos`, which the decoder has checked, and the position after it."""
    tag = raw[pos]
    if tag == _INTEGER and raw[pos + 1] < _SIGNED:  # 0 to 63
        return raw[pos : pos + 2], pos + 2
    if tag in (_OBJECT, _ARRAY):
        return _canonical_members(tag, raw, pos + 1)
    after = skip_any(raw, pos, 0)
    if tag in _ONE_ENCODING:
        return raw[pos:after], after
    form = _FLOATS.get(tag)
    if form is not None:
        return _number(packing.unpack_from(form, raw, pos + 1)[0]), after
    content = raw[pos:after]
    return (_ZERO if content == _MINUS_ZERO else content), after


def _canonical_members(tag: int, raw: bytes, pos: int) -> tuple[bytes, int]:
    count, pos = read_var_uint(raw, pos)
    if tag == _ARRAY:
        parts = [bytes((tag,)), var_uint(count)]
        for _ in range(count):
            part, pos = canonical_any(raw, pos)
            parts.append(part)
        return b"".join(parts), pos
    if count == 1:
        key, pos = read_chunk(raw, pos)
        value, pos = canonical_any(raw, pos)
        return _ONE_MEMBER + var_uint(len(key)) + key + value, pos
    members: dict[bytes, bytes] = {}
    for _ in range(count):
        key, pos = read_chunk(raw, pos)
        members[key], pos = canonical_any(raw, pos)  # of two equal keys, readers take the last
    return _object(members), pos


def canonical_json(text: bytes) -> bytes:
    """The canonical encoding of a value in JSON text, as the same value in the Any encoding would have it."""
    return _from_json(orjson.loads(text))


def _from_json(value: Any) -> bytes:
    match value:
        case None:
            return bytes((_NULL,))
        case bool():
            return bytes((_TRUE if value else _FALSE,))
        case int() | float():
            return _number(float(value))
        case str():
            return bytes((_STRING,)) + var_string(value)
        case list():
            return bytes((_ARRAY,)) + var_uint(len(value)) + b"".join(map(_from_json, value))
        case _:
            return _object({key.encode(): _from_json(item) for key, item in value.items()})


def _object(members: dict[bytes, bytes]) -> bytes:
    parts = [bytes((_OBJECT,)), var_uint(len(members))]
    for key in sorted(members):
        parts += (var_uint(len(key)), key, members[key])
    return b"".join(parts)


def _number(value: float) -> bytes:
    """A number as JavaScript has it: an integer up to 2**53, or a float of 64 bits."""
    if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return _integer(int(value))
    return bytes((_FLOAT64,)) + packing.pack(">d", value) if value == value else _NOT_A_NUMBER


def _integer(value: int) -> bytes:
    size = abs(value)
    first = size & 0x3F | (0x40 if value < 0 else 0)
    if size < 0x40:
        return bytes((_INTEGER, first))
    return bytes((_INTEGER, first | 0x80)) + var_uint(size >> 6)
