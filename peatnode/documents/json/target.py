"""The target of a change: the value that the document has after it."""

from __future__ import annotations

from collections.abc import Callable

from peatnode.documents.json import patch
from peatnode.documents.json.diff import same
from peatnode.documents.json.value import load_object
from peatnode.documents.names import RESERVED_MEMBERS
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import BadValue

_TARGETS: dict[str, Callable[[dict[str, Json], bytes], dict[str, Json]]] = {
    "put": lambda _, body: load_object(body),
    "patch": patch.merge,
    "json_patch": patch.apply_patch,
}


def target_of(kind: str, present: dict[str, Json], body: bytes) -> dict[str, Json]:
    """The value after `put` (a whole value), `patch` (RFC 7396) or `json_patch` (RFC 6902). Raises BadValue.

    A reserved member that a Yjs client has written may stay or go, so that the document can be changed elsewhere.
    """
    make = _TARGETS.get(kind)
    if make is None:
        raise BadValue(f"a change must be put, patch or json_patch, not {kind}")
    target = make(present, body)
    for name in RESERVED_MEMBERS:
        if name in target and not (name in present and same(target[name], present[name])):
            raise BadValue(f"the name {name} is reserved: no document may have it", f"/{name}")
    return target
