"""The target of a change: the value that the document has after it."""

from __future__ import annotations

from collections.abc import Callable

from peatnode.documents.json import patch
from peatnode.documents.json.diff import same
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.value import load_object
from peatnode.documents.names import RESERVED_MEMBERS
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import BadValue

_TARGETS: dict[str, Callable[[dict[str, Json], bytes, ChangeLimits], dict[str, Json]]] = {
    "put": lambda _, body, __: load_object(body),
    "patch": lambda present, body, _: patch.merge(present, body),
    "json_patch": patch.apply_patch,
}


def target_of(
    kind: str, present: dict[str, Json], body: bytes, limits: ChangeLimits = patch.DEFAULT_LIMITS
) -> dict[str, Json]:
    """The value after `put` (a whole value), `patch` (RFC 7396) or `json_patch` (RFC 6902). Raises BadValue.

    Only a JSON Patch can make more than it has bytes, and keeps to `limits`. The caller checks the result of all kinds
    with `ChangeLimits.check_result`, since it has the result as JSON.

    A reserved member that a Yjs client has written may stay or go, so that the document can be changed elsewhere.
    """
    make = _TARGETS.get(kind)
    if make is None:
        raise BadValue(f"a change must be put, patch or json_patch, not {kind}")
    target = make(present, body, limits)
    for name in RESERVED_MEMBERS:
        if name in target and not (name in present and same(target[name], present[name])):
            raise BadValue(f"the name {name} is reserved: no document may have it", f"/{name}")
    return target
