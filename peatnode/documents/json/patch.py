"""JSON Merge Patch (RFC 7396) and JSON Patch (RFC 6902)."""

from __future__ import annotations

import re

from peatnode.documents.json.patched_value import PatchedValue
from peatnode.documents.json.pointer import split
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.value import load, load_object
from peatnode.documents.limits import MAX_PATCH_OPERATIONS
from peatnode.documents.yjs.any_value import Json
from peatnode.errors import BadValue

NOT_A_PATCH = "a JSON Patch must be an array of operations"

DEFAULT_LIMITS = ChangeLimits()

_BAD_ESCAPE = re.compile(r"~(?![01])")


def merge(target: dict[str, Json], body: bytes) -> dict[str, Json]:
    """The target after a JSON Merge Patch. Raises BadValue."""
    return _merge(target, load_object(body))


def _merge(target: Json, patch: dict[str, Json]) -> dict[str, Json]:
    """A member stands in the result where it stands in the patch, so it needs no other check."""
    result = dict(target) if isinstance(target, dict) else {}
    for name, member in patch.items():
        if member is None:
            result.pop(name, None)
        elif isinstance(member, dict):
            result[name] = _merge(result.get(name), member)
        else:
            result[name] = member
    return result


def apply_patch(
    target: dict[str, Json], body: bytes, limits: ChangeLimits = DEFAULT_LIMITS
) -> dict[str, Json]:
    """The target after a JSON Patch; `target` itself does not change.

    Raises BadValue, whose `where` has the number of the operation and its member.
    """
    operations = load(body)
    if not isinstance(operations, list):
        raise BadValue(NOT_A_PATCH)
    if len(operations) > MAX_PATCH_OPERATIONS:
        raise BadValue(f"a JSON Patch has at most {MAX_PATCH_OPERATIONS} operations")
    patched = PatchedValue(target, limits)
    for number, operation in enumerate(operations):
        where = f"/{number}"
        patched.spend(1, where)
        _apply(patched, operation, where)
    value = patched.value
    if not isinstance(value, dict):
        raise BadValue("the result of the patch is not a JSON object")
    return value


def _apply(patched: PatchedValue, operation: Json, where: str) -> None:
    if not isinstance(operation, dict):
        raise BadValue("an operation of a JSON Patch must be an object", where)
    path = _path(operation, "path", where)
    name = operation.get("op")
    if name in ("add", "replace", "test") and "value" not in operation:
        raise BadValue(f"the operation {name} needs a value", f"{where}/value")
    if name == "add":
        patched.add(path, operation["value"], where)
    elif name == "remove":
        patched.remove(path, where)
    elif name == "replace":
        patched.replace(path, operation["value"], where)
    elif name == "test":
        patched.test(path, operation["value"], where)
    elif name == "move":
        patched.move(_path(operation, "from", where), path, where)
    elif name == "copy":
        patched.copy(_path(operation, "from", where), path, where)
    else:
        raise BadValue(
            "the member op must be add, remove, replace, move, copy or test", f"{where}/op"
        )


def _path(operation: dict[str, Json], member: str, where: str) -> list[str]:
    path = operation.get(member)
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise BadValue(f"the member {member} must be a JSON Pointer", f"{where}/{member}")
    if "~" in path and _BAD_ESCAPE.search(path):
        raise BadValue(
            f"the member {member} has a ~ that is not followed by 0 or 1", f"{where}/{member}"
        )
    return split(path)
