"""lib0's Any encoding of JSON values: encoding, and decoding of bytes that were validated."""

import math
import struct
from base64 import b64encode
from typing import TypeAlias

from peatnode.documents.yjs.lib0 import (
    MAX_SAFE_INTEGER,
    read_chunk,
    read_var_uint,
    var_string,
    var_uint,
)

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

_INT31 = 2**31 - 1
_CONSTANTS: dict[int, Json] = {127: None, 126: None, 121: False, 120: True}


def normal_number(value: float) -> Json:
    """The JSON value of a float: an int if it is integral and within 2**53, null if it is not finite."""
    if value.is_integer() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    return value if math.isfinite(value) else None


def encode_any(value: Json) -> bytes:
    """The encoding of a checked value: integers fit 64 bits, and strings have no lone surrogates.

    Members are sorted, so that equal values have equal bytes.
    """
    if value is None:
        return b"\x7e"
    if value is True:
        return b"\x78"
    if value is False:
        return b"\x79"
    if isinstance(value, str):
        return b"\x77" + var_string(value)
    if isinstance(value, int):
        return _encode_int(value)
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, list):
        return b"\x75" + var_uint(len(value)) + b"".join(map(encode_any, value))
    members = (var_string(key) + encode_any(value[key]) for key in sorted(value))
    return b"\x76" + var_uint(len(value)) + b"".join(members)


def _encode_int(value: int) -> bytes:
    size = abs(value)
    if size > MAX_SAFE_INTEGER:
        return b"\x7a" + value.to_bytes(8, "big", signed=True)
    if size > _INT31:
        return b"\x7b" + struct.pack(">d", value)
    first = size & 0x3F | (0x40 if value < 0 else 0)
    if size < 0x40:
        return bytes((0x7D, first))
    if size < 0x2000:
        return bytes((0x7D, first | 0x80, size >> 6))
    return bytes((0x7D, first | 0x80)) + var_uint(size >> 6)


def _encode_float(value: float) -> bytes:
    normal = normal_number(value)
    if isinstance(normal, int):
        return _encode_int(normal)
    return b"\x7b" + struct.pack(">d", value)


def read_any(data: bytes, pos: int) -> tuple[Json, int]:
    """The value at `pos`, which was validated when it was decoded, and the position after it."""
    tag = data[pos]
    pos += 1
    if tag == 119:
        chunk, pos = read_chunk(data, pos)
        return chunk.decode(), pos
    if tag == 125:
        return _read_int(data, pos)
    if tag in _CONSTANTS:
        return _CONSTANTS[tag], pos
    if tag == 123:
        return normal_number(struct.unpack_from(">d", data, pos)[0]), pos + 8
    if tag == 124:
        return normal_number(struct.unpack_from(">f", data, pos)[0]), pos + 4
    if tag == 122:
        return int.from_bytes(data[pos : pos + 8], "big", signed=True), pos + 8
    if tag == 116:
        chunk, pos = read_chunk(data, pos)
        return b64encode(chunk).decode(), pos
    return _read_members(tag, data, pos)


def _read_int(data: bytes, pos: int) -> tuple[int, int]:
    first = data[pos]
    pos += 1
    value = first & 0x3F
    if first & 0x80:
        rest, pos = read_var_uint(data, pos)
        value |= rest << 6
    return (-value if first & 0x40 else value), pos


def _read_members(tag: int, data: bytes, pos: int) -> tuple[Json, int]:
    count, pos = read_var_uint(data, pos)
    if tag == 117:
        items: list[Json] = []
        for _ in range(count):
            item, pos = read_any(data, pos)
            items.append(item)
        return items, pos
    members: dict[str, Json] = {}
    for _ in range(count):
        key, pos = read_chunk(data, pos)
        members[key.decode()], pos = read_any(data, pos)
    return members, pos


def read_last_any(data: bytes, pos: int) -> Json:
    """The last value in the content of an ANY struct, which begins at `pos`."""
    count, pos = read_var_uint(data, pos)
    value: Json = None
    for _ in range(count):
        value, pos = read_any(data, pos)
    return value
