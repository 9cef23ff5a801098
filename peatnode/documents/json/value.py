"""A document's JSON value and its flat shape: leaves by JSON Pointer, arrays and texts by their pointers.

A deeper leaf replaces a leaf above it. An empty object is a leaf. Members are sorted, so that equal documents have
equal bytes on every node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import orjson

from peatnode.documents.json.pointer import alias_of, escape, pointer_of, split
from peatnode.documents.limits import (
    MAX_DEPTH,
    MAX_KEY_BYTES,
    MAX_POINTER_BYTES,
    MAX_VALUES,
    NESTS_TOO_DEEP,
)
from peatnode.documents.yjs.any_value import Json, normal_number
from peatnode.errors import BadValue

ROOT = "root"
"""Name of the root map that holds the leaves."""

ARRAY: dict[str, Json] = {"type": "array"}
"""The leaf that stands for the root array of this name."""

TEXT: dict[str, Json] = {"type": "text"}
"""The leaf that stands for the root text of this name."""

TOO_DEEP, KEY_TOO_LONG, OUT_OF_RANGE = "too-deep", "key-too-long", "number-out-of-range"
TOO_MANY, TOO_LARGE, TOO_COSTLY = "too-many-values", "too-large", "too-costly"

NOT_AN_OBJECT = "a document must be a JSON object"

_INT64 = 2**63
_EMPTY: dict[str, Json] = {}


@dataclass(slots=True)
class Shape:
    """The content of a document as the Yjs document stores it."""

    leaves: Mapping[str, Json] = field(default_factory=dict)
    """Key of the root map to its value."""
    arrays: Mapping[str, list[Json]] = field(default_factory=dict)
    """Name of a root array to its elements. An array without a leaf of its name is not part of the value."""
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.leaves or self.arrays or self.texts)


def dump(value: Json) -> bytes:
    """JSON with sorted members and no spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def load_object(body: bytes) -> dict[str, Json]:
    """The JSON object in a request. If a name occurs twice, the last member counts. Raises BadValue."""
    value = load(body)
    if not isinstance(value, dict):
        raise BadValue(NOT_AN_OBJECT, code="not-an-object")
    return value


def load(body: bytes) -> Json:
    """The JSON value in a request, within the limits of documents. Raises BadValue."""
    try:
        value: Json = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "ecursion" in str(error):
            _refuse_depth("")
        raise BadValue(f"the body is not valid JSON: {error}") from None
    return _normal(value) if check_parsed(value, body) else value


def check_parsed(value: Json, body: bytes) -> bool:
    """Checks the limits of documents for `value`, parsed from `body`. Returns whether it contains floats.

    Raises BadValue.
    """
    found = _check(value, "", 0, MAX_KEY_BYTES)
    if len(body) > 2 * MAX_VALUES and count_values(value) > MAX_VALUES:
        raise BadValue(f"the body holds more than {MAX_VALUES} values", code=TOO_MANY)
    if found == _HUGE_FLOAT:
        _refuse_huge_integers(body)
    return found != _NO_FLOAT


def count_values(value: Json) -> int:
    """Objects, arrays, strings, numbers, booleans and nulls in a value, with itself. Names of members do not count."""
    count = 1
    holders = [value] if isinstance(value, dict | list) else []
    while holders:
        holder = holders.pop()
        count += len(holder)
        members = holder.values() if isinstance(holder, dict) else holder
        holders += [member for member in members if isinstance(member, dict | list)]
    return count


def check_part(value: Json, where: str, depth: int) -> None:
    """Checks a part of a checked value for its place in another one: `where` is its pointer, `depth` its level.

    The length of keys is not checked, except as part of a pointer: a Yjs client may have written a longer key, and a
    patch elsewhere in that document must be possible. Raises BadValue.
    """
    if len(where) > MAX_POINTER_BYTES // 4 and len(where.encode()) > MAX_POINTER_BYTES:
        _refuse_path(where)
    if isinstance(value, dict | list):
        _check(value, where, depth, MAX_POINTER_BYTES)


def check_key(name: str, where: str) -> None:
    """Checks the length of a key that a request names. Raises BadValue."""
    if len(name) > MAX_KEY_BYTES // 4 and len(name.encode()) > MAX_KEY_BYTES:
        raise BadValue(f"a key is longer than {MAX_KEY_BYTES} bytes", where, KEY_TOO_LONG)


_NO_FLOAT, _FLOAT, _HUGE_FLOAT = range(3)
"""Which floats a value contains. A huge float may have been an integer beyond 64 bits in the request."""

_PLAIN = frozenset((str, bool, type(None)))
"""Types that need no check."""


def _check(value: Json, where: str, depth: int, key_bytes: int) -> int:
    """Raises BadValue. Returns which floats the value contains."""
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            _refuse_depth(where)
        quick = MAX_KEY_BYTES // 4 - len(where)  # a shorter name exceeds no limit in any encoding
        floats = _NO_FLOAT
        for name, member in value.items():
            is_plain = type(member) in _PLAIN or (
                type(member) is int and -_INT64 <= member < _INT64
            )
            if not is_plain or len(name) >= quick:
                floats = max(floats, _check_member(name, member, where, depth, key_bytes))
        return floats
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            _refuse_depth(where)
        return _check_items(value, where, depth, key_bytes)
    if isinstance(value, float):
        return _HUGE_FLOAT if abs(value) >= _INT64 else _FLOAT
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise BadValue("an integer does not fit 64 bits", where, OUT_OF_RANGE)
    return _NO_FLOAT


def _check_items(items: list[Json], where: str, depth: int, key_bytes: int) -> int:
    floats = _NO_FLOAT
    for at, item in enumerate(items):
        if type(item) is int and -_INT64 <= item < _INT64:
            continue
        if type(item) is float and -_INT64 < item < _INT64:
            floats = floats or _FLOAT
        elif type(item) not in _PLAIN:
            floats = max(floats, _check(item, f"{where}/{at}", depth + 1, key_bytes))
    return floats


def _check_member(name: str, member: Json, where: str, depth: int, key_bytes: int) -> int:
    if len(name) > key_bytes // 4 and len(name.encode()) > key_bytes:
        raise BadValue(f"a key is longer than {key_bytes} bytes", where, KEY_TOO_LONG)
    below = f"{where}/{escape(name)}"
    if len(below) > MAX_POINTER_BYTES // 4 and len(below.encode()) > MAX_POINTER_BYTES:
        _refuse_path(where)
    return _check(member, below, depth + 1, key_bytes)


def _refuse_path(where: str) -> NoReturn:
    raise BadValue(f"names along a path take more than {MAX_POINTER_BYTES} bytes", where)


def _refuse_depth(where: str) -> NoReturn:
    raise BadValue(NESTS_TOO_DEEP, where, TOO_DEEP)


def _normal(value: Json) -> Json:
    """The value with integral floats as integers: JSON has one kind of number, so 1.0 is stored as 1."""
    if isinstance(value, float):
        return normal_number(value)
    if isinstance(value, dict):
        return {name: _normal(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_normal(item) for item in value]
    return value


def _refuse_huge_integers(body: bytes) -> None:
    """orjson reads integers beyond 64 bits as floats. The standard parser distinguishes them."""

    def parse(digits: str) -> int:
        value = int(digits) if len(digits) < 21 else _INT64
        if not -_INT64 <= value < _INT64:
            raise BadValue(f"the integer {digits[:40]} does not fit 64 bits", code=OUT_OF_RANGE)
        return value

    json.loads(body, parse_int=parse)


def flatten(value: dict[str, Json]) -> Shape:
    """The shape of a new document with this value."""
    leaves: dict[str, Json] = {}
    arrays: dict[str, list[Json]] = {}
    _flatten(value, "", leaves, arrays)
    return Shape(leaves, arrays)


def _flatten(
    value: dict[str, Json], prefix: str, leaves: dict[str, Json], arrays: dict[str, list[Json]]
) -> None:
    for name, member in value.items():
        pointer = f"{prefix}/{escape(name)}"
        if isinstance(member, dict) and member:
            _flatten(member, pointer, leaves, arrays)
        elif isinstance(member, list):
            leaves[pointer] = ARRAY
            arrays[pointer] = member
        else:
            leaves[pointer] = member


def visible_keys(leaves: Mapping[str, Json]) -> dict[str, str]:
    """Pointer to the key that holds its leaf. If a pointer has two keys, the one with the slash counts."""
    chosen: dict[str, str] = {}
    for key in leaves:
        pointer = pointer_of(key)
        if key is pointer or pointer not in chosen:
            chosen[pointer] = key
    return chosen


def build(shape: Shape) -> dict[str, Json]:
    """The value of a shape. Shorter pointers are placed first, so that a deeper leaf replaces a leaf above it."""
    value: dict[str, Json] = {}
    chosen = visible_keys(shape.leaves)
    for pointer in sorted(chosen, key=lambda pointer: (pointer.count("/"), pointer)):
        leaf = shape.leaves[chosen[pointer]]
        if isinstance(leaf, dict):
            leaf = _shown(leaf, pointer, shape)
        if pointer.find("/", 1) < 0 and "~" not in pointer:
            value[pointer[1:]] = leaf
        else:
            _place(value, split(pointer), leaf)
    return value


def _shown(leaf: dict[str, Json], pointer: str, shape: Shape) -> Json:
    if leaf == ARRAY:
        return shape.arrays.get(pointer, [])
    if leaf == TEXT:
        return shape.texts.get(pointer, "")
    return leaf


def _place(value: dict[str, Json], path: list[str], leaf: Json) -> None:
    at = value
    for name in path[:-1]:
        below = at.get(name)
        if not isinstance(below, _Made):
            below = at[name] = _Made()
        at = below
    at[path[-1]] = leaf


class _Made(dict[str, Json]):
    """An object that `build` has made for the leaves below it, and that is not a leaf itself."""

    __slots__ = ()


def markers(leaves: Mapping[str, Json], kind: dict[str, Json]) -> list[str]:
    """Pointers of the leaves that stand for a root array (`kind` is ARRAY) or a root text (TEXT)."""
    return [pointer_of(key) for key, leaf in leaves.items() if leaf == kind]


def key_for(pointer: str, leaves: Mapping[str, Json]) -> str:
    """The key to write a leaf to: the existing key of the pointer, or the pointer."""
    if pointer in leaves:
        return pointer
    alias = alias_of(pointer)
    return alias if alias is not None and alias in leaves else pointer
