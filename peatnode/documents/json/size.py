"""How large a JSON value is, in values and in bytes, and the bounds of what a change may lead to."""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.documents.json.value import TOO_LARGE, TOO_MANY, count_values, dump
from peatnode.documents.limits import MAX_PATCH_WORK, MAX_VALUES
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import BadValue

DEFAULT_BYTES = 1024 * 1024
"""The most bytes of a document, where no setting says otherwise."""


@dataclass(frozen=True, slots=True)
class ChangeLimits:
    """Bounds on the value after a change, and on the work of a JSON Patch.

    They hold for what grows: a document that is larger, because a Yjs client or an older version has written it, can
    be made smaller.
    """

    max_bytes: int = DEFAULT_BYTES
    max_values: int = MAX_VALUES
    max_work: int = MAX_PATCH_WORK

    def check_result(self, present: Json, target: Json, dumped: bytes) -> None:
        """Checks the value after a change; `dumped` is `target` as JSON. Raises BadValue."""
        if len(dumped) > self.max_bytes and len(dumped) >= len(dump(present)):
            raise BadValue(
                f"the document would take {len(dumped)} bytes of JSON, and {self.max_bytes} is the most",
                code=TOO_LARGE,
            )
        if len(dumped) <= 2 * self.max_values:  # a value takes two bytes with its comma
            return
        values = count_values(target)
        if values > self.max_values and values >= count_values(present):
            raise BadValue(too_many(values, self.max_values), code=TOO_MANY)


def too_many(values: int, most: int) -> str:
    return f"the document would hold {values} values, and {most} is the most"
