"""A JSON value while the operations of a JSON Patch change it, and its size after each of them."""

from __future__ import annotations

import re

import orjson

from peatnode.documents.json.pointer import escape
from peatnode.documents.json.size import ChangeLimits, too_many
from peatnode.documents.json.value import (
    TOO_COSTLY,
    TOO_LARGE,
    TOO_MANY,
    check_key,
    check_part,
    count_values,
    dump,
)
from peatnode.documents.limits import MAX_PATCH_COPIED_BYTES
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import BadValue

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)

_SHIFTED = 1024
"""Elements of an array that the processor moves in the time in which Python visits one value."""


class PatchedValue:
    """A copy of a value with the operations of RFC 6902, within limits of size and work.

    An operation costs as much as what it adds, removes or compares. The rest of the document costs nothing: its size
    is carried forward. What is added again and again without being sent (by `copy` and `move`) counts as work.
    """

    def __init__(self, value: Json, limits: ChangeLimits) -> None:
        dumped = dump(value)
        self.value: Json = orjson.loads(dumped)  # several times as fast as copy.deepcopy
        self._limits = limits
        self.size = len(dumped)
        """Bytes of the value as JSON."""
        self.values = count_values(value)
        self._work = 0
        self._copied = 0

    def add(self, path: list[str], added: Json, where: str) -> None:
        values, size = self._measure(added, path, where)
        self._put(path, added, values, size, where)

    def replace(self, path: list[str], replacement: Json, where: str) -> None:
        present = self._find(path, where)
        values, size = self._measure(replacement, path, where)
        self._account(values - count_values(present), size - len(dump(present)), where)
        if not path:
            self.value = replacement
            return
        holder = self._find(path[:-1], where)
        if isinstance(holder, list):
            holder[int(path[-1])] = replacement
        else:
            assert isinstance(holder, dict)
            holder[path[-1]] = replacement

    def remove(self, path: list[str], where: str) -> None:
        taken, names = self._take(path, where)
        self._account(-count_values(taken), -len(dump(taken)) - names, where)

    def test(self, path: list[str], wanted: Json, where: str) -> None:
        if not _is_equal(self._find(path, where), wanted):
            raise BadValue("the value differs from the value in the test", f"{where}/path")

    def move(self, source: list[str], path: list[str], where: str) -> None:
        if path[: len(source)] == source and len(path) > len(source):
            raise BadValue("a value cannot be moved into itself", f"{where}/path")
        taken, names = self._take(source, where)
        if path:
            self._check_moved(taken, source, path, where)
            self.size -= names
            self._put(path, taken, 0, 0, where)
        else:
            self.values, self.size = self._measure(taken, path, where)
            self.value = taken

    def copy(self, source: list[str], path: list[str], where: str) -> None:
        found = self._find(source, where)
        dumped = dump(found)
        self._copied += len(dumped)
        if self._copied > MAX_PATCH_COPIED_BYTES:
            raise BadValue(
                f"the patch copies more than {MAX_PATCH_COPIED_BYTES} bytes", where, TOO_COSTLY
            )
        values = count_values(found)
        self._check_size(values, len(dumped), where)
        self.spend(values, where)
        self.add(path, orjson.loads(dumped), where)

    # --- places

    def _find(self, path: list[str], where: str) -> Json:
        value = self.value
        for token in path:
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list):
                value = value[_index(token, len(value) - 1, where)]
            else:
                raise BadValue("the path names a value that does not exist", f"{where}/path")
        return value

    def _put(self, path: list[str], added: Json, values: int, size: int, where: str) -> None:
        """Adds a value of this size, of which the account of a moved value already has everything."""
        if not path:
            self._account(values - self.values, size - self.size, where)
            self.value = added
            return
        holder = self._find(path[:-1], where)
        name = path[-1]
        if isinstance(holder, dict):
            check_key(name, f"{where}/path")
            if name in holder:
                replaced = holder[name]
                values -= count_values(replaced)
                size -= len(dump(replaced))
            else:
                size += _name_bytes(name) + (len(holder) > 0)
            self._account(values, size, where)
            holder[name] = added
        elif isinstance(holder, list):
            at = len(holder) if name == "-" else _index(name, len(holder), where)
            self._account(values, size + (len(holder) > 0), where)
            self.spend((len(holder) - at) // _SHIFTED, where)
            holder.insert(at, added)
        else:
            raise BadValue(
                "the parent of the path is neither an object nor an array", f"{where}/path"
            )

    def _take(self, path: list[str], where: str) -> tuple[Json, int]:
        """Removes the member at `path`. Returns it, and the bytes of what stood around it: its name and a comma."""
        if not path:
            raise BadValue("a patch cannot remove the whole document", f"{where}/path")
        taken = self._find(path, where)
        holder = self._find(path[:-1], where)
        if isinstance(holder, list):
            at = int(path[-1])
            self.spend((len(holder) - at) // _SHIFTED, where)
            del holder[at]
            return taken, int(len(holder) > 0)
        assert isinstance(holder, dict)
        del holder[path[-1]]
        return taken, _name_bytes(path[-1]) + (len(holder) > 0)

    # --- limits

    def _measure(self, added: Json, path: list[str], where: str) -> tuple[int, int]:
        """Values and bytes of a value that comes to `path`, where it must not nest too deep."""
        _check_place(added, path, where)
        return count_values(added), len(dump(added))

    def _check_moved(self, taken: Json, source: list[str], path: list[str], where: str) -> None:
        """What comes no deeper, and under no longer names, is as it was."""
        if isinstance(taken, dict | list) and (
            len(path) > len(source) or sum(map(len, path)) > sum(map(len, source))
        ):
            self.spend(count_values(taken), where)
            _check_place(taken, path, where)

    def _account(self, values: int, size: int, where: str) -> None:
        self._check_size(values, size, where)
        self.values += values
        self.size += size

    def _check_size(self, values: int, size: int, where: str) -> None:
        """Refuses a document that becomes larger by so much, and larger than the limits."""
        limits = self._limits
        if values > 0 and self.values + values > limits.max_values:
            raise BadValue(too_many(self.values + values, limits.max_values), where, TOO_MANY)
        if size > 0 and self.size + size > limits.max_bytes:
            raise BadValue(
                f"the operation would make the document {self.size + size} bytes long, "
                f"and {limits.max_bytes} is the most",
                where,
                TOO_LARGE,
            )

    def spend(self, values: int, where: str) -> None:
        """Counts work: one for each operation, and one for each value that it visits anew. Raises BadValue."""
        self._work += values
        if self._work > self._limits.max_work:
            raise BadValue(
                f"the operations of the patch visit more than {self._limits.max_work} values: split it",
                where,
                TOO_COSTLY,
            )


def _index(token: str, last: int, where: str) -> int:
    if not _INDEX.fullmatch(token) or int(token) > last:
        raise BadValue("the path does not name an element of the array", f"{where}/path")
    return int(token)


def _name_bytes(name: str) -> int:
    """The bytes of a member's name and its colon."""
    return len(dump(name)) + 1


def _check_place(added: Json, path: list[str], where: str) -> None:
    """Raises BadValue if the value nests too deep at `path`, or its names are too long there."""
    try:
        check_part(added, "".join(f"/{escape(token)}" for token in path), len(path))
    except BadValue as error:
        raise BadValue(error.message, where, error.code) from None


def _is_equal(left: Json, right: Json) -> bool:
    """Whether two values are equal as JSON. It compares no more than what is in the smaller one."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return len(left) == len(right) and all(
            name in left and _is_equal(left[name], member) for name, member in right.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_is_equal, left, right))
    return left == right
