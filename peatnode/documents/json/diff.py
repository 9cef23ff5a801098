"""The smallest change from the content of a document to a target value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from peatnode.documents.json.value import TEXT, Shape, build, dump, flatten, key_for
from peatnode.documents.yjs.any_value import Json

MAX_DIFFERENCES = 256
"""Insertions and deletions that the comparison of two arrays finds at most. If there are more, everything between the
common beginning and the common end is replaced."""


@dataclass(frozen=True, slots=True)
class Splice:
    """Replaces `removed` elements from `index` on by `added`. The splices of one array have descending indexes."""

    index: int
    removed: int
    added: Sequence[Json]


@dataclass(frozen=True, slots=True)
class TextSplice:
    """Replaces `removed` units of a text from `index` on by `added`. Both numbers count UTF-16 units."""

    index: int
    removed: int
    added: str


@dataclass(frozen=True, slots=True)
class Edits:
    """A change to the shape of a document."""

    set_leaves: Mapping[str, Json]
    """Key of the root map to its new value."""
    drop_leaves: Sequence[str]
    """Keys of the root map to delete."""
    arrays: Mapping[str, Sequence[Splice]]
    """Name of a root array to its splices."""
    texts: Mapping[str, TextSplice]
    """Name of a root text to its splice."""

    @property
    def is_empty(self) -> bool:
        return not (self.set_leaves or self.drop_leaves or self.arrays or self.texts)

    @property
    def is_inserting(self) -> bool:
        """Whether something is inserted into arrays or texts, and not only deleted from them."""
        return any(splice.added for splice in self.texts.values()) or any(
            splice.added for splices in self.arrays.values() for splice in splices
        )


NO_EDITS = Edits({}, (), {}, {})


def plan(shape: Shape, target: dict[str, Json]) -> Edits:
    """The edits that change `shape` into `target`.

    `shape` must hold each root array that `target` names, also one that the value does not show any more.
    """
    wanted = flatten(target)
    if shape.is_empty:
        added = {name: (Splice(0, 0, items),) for name, items in wanted.arrays.items() if items}
        return Edits(wanted.leaves, (), added, {})
    if dump(build(shape)) == dump(target):
        return NO_EDITS
    keys = {key_for(pointer, shape.leaves): pointer for pointer in wanted.leaves}
    sets: dict[str, Json] = {}
    texts: dict[str, TextSplice] = {}
    for key, pointer in keys.items():
        leaf = wanted.leaves[pointer]
        present = shape.leaves.get(key)
        if isinstance(leaf, str) and present == TEXT:
            _edit_text(texts, pointer, shape.texts.get(pointer, ""), leaf)
        elif key not in shape.leaves or not same(present, leaf):
            sets[key] = leaf
    drops = [key for key in shape.leaves if key not in keys]
    arrays = _edit_arrays(shape, wanted, keys, texts)
    return Edits(sets, drops, arrays, texts)


def _edit_arrays(
    shape: Shape, wanted: Shape, keys: Mapping[str, str], texts: dict[str, TextSplice]
) -> dict[str, Sequence[Splice]]:
    arrays: dict[str, Sequence[Splice]] = {}
    for name in {**shape.arrays, **wanted.arrays}:
        splices = diff(shape.arrays.get(name, []), wanted.arrays.get(name, []))
        if splices:
            arrays[name] = splices
    for name, text in shape.texts.items():
        if text and not isinstance(wanted.leaves.get(name), str):
            _edit_text(texts, name, text, "")
    return arrays


def same(left: Json, right: Json) -> bool:
    """Whether two values are equal as JSON. Unlike in Python, true is not equal to 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict | list | float):
        return left is right or dump(left) == dump(right)
    return left == right


def _edit_text(texts: dict[str, TextSplice], name: str, present: str, wanted: str) -> None:
    if present == wanted:
        return
    start = _common(present, wanted)
    end = _common(present[start:][::-1], wanted[start:][::-1])
    removed = present[start : len(present) - end]
    texts[name] = TextSplice(
        _units(present[:start]), _units(removed), wanted[start : len(wanted) - end]
    )


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _common(left: Sequence[object], right: Sequence[object]) -> int:
    """Length of the common beginning."""
    size = min(len(left), len(right))
    return next((at for at in range(size) if left[at] != right[at]), size)


def diff(present: Sequence[Json], wanted: Sequence[Json]) -> list[Splice]:
    """Splices that change the array `present` into `wanted`, in descending order of index."""
    if not present or not wanted:
        return [Splice(0, len(present), wanted)] if present or wanted else []
    start, end = _common_ends(present, wanted)
    old = [_comparable(item) for item in present[start : len(present) - end]]
    new = [_comparable(item) for item in wanted[start : len(wanted) - end]]
    if not old and not new:
        return []
    kept = _kept(old, new) if old and new else []
    splices: list[Splice] = []
    at_old = at_new = 0
    for keep_old, keep_new in [*kept, (len(old), len(new))]:
        if keep_old > at_old or keep_new > at_new:
            added = wanted[start + at_new : start + keep_new]
            splices.append(Splice(start + at_old, keep_old - at_old, added))
        at_old, at_new = keep_old + 1, keep_new + 1
    splices.reverse()
    return splices


def _common_ends(present: Sequence[Json], wanted: Sequence[Json]) -> tuple[int, int]:
    """How many elements at the beginning, and then at the end, are equal."""
    size = min(len(present), len(wanted))
    start = 0
    while start < size and same(present[start], wanted[start]):
        start += 1
    end = 0
    while end < size - start and same(present[-1 - end], wanted[-1 - end]):
        end += 1
    return start, end


def _comparable(item: Json) -> Json | bytes:
    """Equal for equal elements. Text and integers are their own, because 100,000 others would need much memory."""
    if type(item) is str or type(item) is int:
        return item
    dumped = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    return bytes(bytearray(dumped))  # orjson leaves a hole of 1 KiB behind each result that is kept


def _kept(old: Sequence[Json | bytes], new: Sequence[Json | bytes]) -> list[tuple[int, int]]:
    """Pairs of indexes of the elements that stay, found by Myers' greedy algorithm.

    Empty if there are more than MAX_DIFFERENCES differences.
    """
    reach = {1: 0}
    trace: list[dict[int, int]] = []
    for size in range(min(len(old) + len(new), MAX_DIFFERENCES) + 1):
        trace.append(dict(reach))
        for k in range(-size, size + 1, 2):
            down = k == -size or (k != size and reach[k - 1] < reach[k + 1])
            x = reach[k + 1] if down else reach[k - 1] + 1
            while x < len(old) and x - k < len(new) and old[x] == new[x - k]:
                x += 1
            reach[k] = x
            if x >= len(old) and x - k >= len(new):
                return _walk_back(trace, len(old), len(new))
    return []


def _walk_back(trace: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    kept: list[tuple[int, int]] = []
    for size in range(len(trace) - 1, -1, -1):
        reach, k = trace[size], x - y
        down = k == -size or (k != size and reach[k - 1] < reach[k + 1])
        before_x = reach[k + 1] if down else reach[k - 1]
        before_y = before_x - (k + 1 if down else k - 1)
        while x > max(before_x, 0) and y > max(before_y, 0):
            x, y = x - 1, y - 1
            kept.append((x, y))
        x, y = before_x, before_y
    kept.reverse()
    return kept
