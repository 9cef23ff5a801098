"""The part of lib0's binary encoding that Yjs updates use, with strict decoding.

Source: https://github.com/dmonad/lib0 (encoding.js, decoding.js). Only the shortest form of a number is accepted, so
that decoded bytes can be encoded again without a difference.

A read of a single byte beyond the end raises IndexError, which the entry points (`decode_update`,
`decode_state_vector`) translate: a check for each byte would double the time.
"""

import orjson

from peatnode.documents.limits import NESTS_TOO_DEEP
from peatnode.errors import MalformedUpdate

MAX_SAFE_INTEGER = 2**53 - 1
"""The largest client id, clock or length that JavaScript can hold."""

_VAR_UINT_BYTES = 8  # 8 * 7 bits hold 2**53
_SMALL = [bytes((n,)) for n in range(128)]

_ANY_FIXED = {127: 0, 126: 0, 124: 4, 123: 8, 122: 8, 121: 0, 120: 0}
_ANY_INTEGER, _ANY_STRING, _ANY_OBJECT, _ANY_ARRAY, _ANY_BYTES = 125, 119, 118, 117, 116


def read_var_uint(data: bytes, pos: int) -> tuple[int, int]:
    """The number at `pos` and the position after it."""
    byte = data[pos]
    return read_var_tail(data, pos + 1, byte) if byte > 127 else (byte, pos + 1)


def read_var_tail(data: bytes, pos: int, first: int) -> tuple[int, int]:
    """A number of which the first byte, whose continuation bit is set, was read before `pos`."""
    value = first & 127
    shift = 7
    while True:
        byte = data[pos]
        pos += 1
        if byte < 128:
            if byte == 0:
                raise MalformedUpdate("number not in its shortest form", pos)
            value |= byte << shift
            if value > MAX_SAFE_INTEGER:
                raise MalformedUpdate("number beyond 2**53", pos)
            return value, pos
        value |= (byte & 127) << shift
        shift += 7
        if shift >= 7 * _VAR_UINT_BYTES:
            raise MalformedUpdate("number beyond 2**53", pos)


def var_uint(value: int) -> bytes:
    """The encoding of a number: 7 bits a byte, low bits first."""
    if value < 128:
        return _SMALL[value]
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def var_string(text: str) -> bytes:
    """The encoding of a string: its length in bytes, then UTF-8."""
    raw = text.encode()
    return var_uint(len(raw)) + raw


def read_chunk(data: bytes, pos: int) -> tuple[bytes, int]:
    """The length-prefixed bytes at `pos`, and the position after them."""
    size, pos = read_var_uint(data, pos)
    after = pos + size
    if after > len(data):
        raise MalformedUpdate("length beyond the end", pos)
    return data[pos:after], after


def read_string(data: bytes, pos: int) -> tuple[str, int]:
    """The length-prefixed string at `pos`, in strict UTF-8, and the position after it."""
    chunk, after = read_chunk(data, pos)
    try:
        return chunk.decode(), after
    except UnicodeDecodeError:
        raise MalformedUpdate("invalid UTF-8", pos) from None


def skip_any(data: bytes, pos: int, depth: int) -> int:
    """The position after the Any value at `pos`, which may contain `depth` more levels of containers."""
    tag = data[pos]
    pos += 1
    fixed = _ANY_FIXED.get(tag)
    if fixed is not None:
        if pos + fixed > len(data):
            raise MalformedUpdate("truncated value", pos)
        return pos + fixed
    if tag == _ANY_STRING:
        return read_string(data, pos)[1]
    if tag == _ANY_INTEGER:
        return _skip_var_int(data, pos)
    if tag == _ANY_BYTES:
        return read_chunk(data, pos)[1]
    if tag not in (_ANY_OBJECT, _ANY_ARRAY):
        raise MalformedUpdate(f"unknown tag {tag} of a value", pos - 1)
    if depth == 0:
        raise MalformedUpdate(NESTS_TOO_DEEP, pos)
    count, pos = read_var_uint(data, pos)
    if count > len(data) - pos:
        raise MalformedUpdate("more members than bytes", pos)
    for _ in range(count):
        if tag == _ANY_OBJECT:
            pos = read_string(data, pos)[1]
        pos = skip_any(data, pos, depth - 1)
    return pos


def _skip_var_int(data: bytes, pos: int) -> int:
    """Skips a signed number: 6 bits and the sign in the first byte, then 7 bits a byte."""
    first = data[pos]
    pos += 1
    if first < 128:
        return pos
    value, after = read_var_uint(data, pos)
    if value == 0:
        raise MalformedUpdate("number not in its shortest form", pos)
    if value > MAX_SAFE_INTEGER >> 6:
        raise MalformedUpdate("number beyond 2**53", pos)
    return after


def check_json(text: bytes, offset: int, depth: int) -> None:
    """Raises MalformedUpdate for bad syntax, NaN, lone surrogates and deep nesting, which engines cannot read."""
    if text.count(b"[") + text.count(b"{") > depth and json_depth(text) > depth:
        raise MalformedUpdate(NESTS_TOO_DEEP, offset)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        raise MalformedUpdate("invalid JSON", offset) from None


def json_depth(text: bytes) -> int:
    """Deepest nesting of a JSON text; brackets inside strings do not count."""
    deepest = level = 0
    quoted = escaped = False
    for byte in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = byte == 0x5C
            quoted = byte != 0x22
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest
