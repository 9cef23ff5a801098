"""How large a JSON value is, in values and in bytes, and the bounds of what a change may lead to."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.documents.json.value import TOO_LARGE, TOO_MANY, count_values, dump
from peatnode.documents.limits import (
    MAX_NAMES_BYTES,
    MAX_PATCH_WORK,
    MAX_POINTER_BYTES,
    MAX_VALUES,
)
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import BadValue

DEFAULT_BYTES = 1024 * 1024
"""The most bytes of a document, where no setting says otherwise."""

MEMBER_BYTES = 4
"""The fewest bytes of a member in JSON: a name without characters, a colon, a value of one digit."""


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """Bounds on the value after a change, and on the work of a JSON Patch.

    They hold for what grows: a document that is larger, because a Yjs client or an older version has written it, can
    be made smaller.
    """

    max_bytes: int = DEFAULT_BYTES
    max_values: int = MAX_VALUES
    max_work: int = MAX_PATCH_WORK
    max_names: int = MAX_NAMES_BYTES

    def check_result(self, present: Json, target: Json, dumped: bytes) -> None:
        """Checks the value after a change; `dumped` is `target` as JSON. Raises BadValue."""
        if len(dumped) > self.max_bytes and len(dumped) >= len(dump(present)):
            raise BadValue(
                f"the document would take {len(dumped)} bytes of JSON, and {self.max_bytes} is the most",
                code=TOO_LARGE,
            )
        self._check_names(present, target, dumped)
        if len(dumped) <= 2 * self.max_values:  # a value takes two bytes with its comma
            return
        values = count_values(target)
        if values > self.max_values and values >= count_values(present):
            raise BadValue(too_many(values, self.max_values), code=TOO_MANY)

    def _check_names(self, present: Json, target: Json, dumped: bytes) -> None:
        longest = min(len(dumped), MAX_POINTER_BYTES)
        if len(dumped) // MEMBER_BYTES * longest <= self.max_names:
            return
        names = names_bytes(target)
        if names > self.max_names and names >= names_bytes(present):
            raise BadValue(
                f"the names along the paths to all members would take {names} bytes, "
                f"and {self.max_names} is the most",
                code=TOO_LARGE,
            )


def names_bytes(value: Json, above: int = 0) -> int:
    """Length of the JSON Pointers of all leaves together, in UTF-8. `above`: of the pointer of `value`."""
    if not isinstance(value, dict):
        return 0
    names = _utf8_bytes("".join(value)) + len(value) * (above + 1)
    for name, member in value.items():
        if isinstance(member, dict) and member:
            pointer = above + 1 + _utf8_bytes(name)
            names += names_bytes(member, pointer) - pointer
    return names


def _utf8_bytes(name: str) -> int:
    """Bytes of the name in a pointer, where `/` and `~` take two."""
    size = len(name) if name.isascii() else len(name.encode())
    return size + name.count("/") + name.count("~")


def too_many(values: int, most: int) -> str:
    return f"the document would hold {values} values, and {most} is the most"
