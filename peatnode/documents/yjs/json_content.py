"""Rewrites contents so that an engine reads each of them as a JSON value.

Values that JSON cannot express become null: undefined, NaN and infinities, as in JavaScript's JSON.stringify, and
bytes. Contents of the old JSON kind become ANY, because yrs 0.12 reads one string too many of them, and thereby other
content than the decoder has checked.
"""

import struct as packing
from math import isfinite
from typing import Any

import orjson

from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, skip_any, var_string, var_uint
from peatnode.documents.yjs.structs import ANY, BINARY, JSON, TYPE, Struct, with_content

_UNDEFINED, _NULL, _FLOAT32, _FLOAT64 = 127, 126, 124, 123
_FALSE, _TRUE, _STRING, _OBJECT, _ARRAY, _BYTES = 121, 120, 119, 118, 117, 116
_ONE_STRING = bytes((1, _STRING))
_NULL_VALUE = bytes((_NULL,))
_FLOATS = {_FLOAT32: ">f", _FLOAT64: ">d"}


def plain(struct: Struct) -> Struct:
    """The struct with a content of JSON values. A shared type becomes null."""
    if struct.kind == ANY:
        if struct.raw.startswith(_ONE_STRING, struct.content_at):
            return struct  # the most frequent content
        content = _plain_values(struct.raw, struct.content_at)
    elif struct.kind == JSON:
        content = _from_json(struct.raw, struct.content_at)
    elif struct.kind in (BINARY, TYPE):
        content = b"\1" + _NULL_VALUE
    else:
        return struct
    return with_content(struct, ANY, struct.length, content)


def as_any(struct: Struct) -> Struct:
    """The struct with the same values in the Any encoding, if it has values. Bytes stay bytes."""
    if struct.kind == JSON:
        return with_content(struct, ANY, struct.length, _from_json(struct.raw, struct.content_at))
    if struct.kind == BINARY:
        content = bytes((1, _BYTES)) + struct.raw[struct.content_at :]
        return with_content(struct, ANY, 1, content)
    return struct


def _plain_values(raw: bytes, pos: int) -> bytes:
    count, pos = read_var_uint(raw, pos)
    out = [var_uint(count)]
    for _ in range(count):
        pos = _copy_plain(raw, pos, out)
    return b"".join(out)


def _copy_plain(raw: bytes, pos: int, out: list[bytes]) -> int:
    """Appends the value at `pos` as JSON has it. Returns the position after it. The decoder has checked the depth."""
    tag = raw[pos]
    if tag in (_OBJECT, _ARRAY):
        start = pos
        count, pos = read_var_uint(raw, pos + 1)
        out.append(raw[start:pos])
        for _ in range(count):
            if tag == _OBJECT:
                start = pos
                pos = read_chunk(raw, pos)[1]
                out.append(raw[start:pos])
            pos = _copy_plain(raw, pos, out)
        return pos
    after = skip_any(raw, pos, 0)
    out.append(raw[pos:after] if _is_plain(tag, raw[pos + 1 : after]) else _NULL_VALUE)
    return after


def _is_plain(tag: int, body: bytes) -> bool:
    form = _FLOATS.get(tag)
    if form is not None:
        return isfinite(packing.unpack(form, body)[0])
    return tag not in (_UNDEFINED, _BYTES)


def _from_json(raw: bytes, pos: int) -> bytes:
    count, pos = read_var_uint(raw, pos)
    out = [var_uint(count)]
    for _ in range(count):
        chunk, pos = read_chunk(raw, pos)
        out.append(_NULL_VALUE if chunk == b"undefined" else _any(orjson.loads(chunk)))
    return b"".join(out)


def _any(value: Any) -> bytes:
    """The Any encoding of a parsed JSON value. Numbers are encoded as floats, which every reader supports."""
    match value:
        case None:
            return _NULL_VALUE
        case bool():
            return bytes((_TRUE if value else _FALSE,))
        case int() | float():
            return bytes((_FLOAT64,)) + packing.pack(">d", value)
        case str():
            return bytes((_STRING,)) + var_string(value)
        case list():
            return bytes((_ARRAY,)) + var_uint(len(value)) + b"".join(map(_any, value))
        case _:
            members = (var_string(key) + _any(item) for key, item in value.items())
            return bytes((_OBJECT,)) + var_uint(len(value)) + b"".join(members)
