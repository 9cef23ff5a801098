"""Building blocks of JSON Schema (2020-12), with which the API describes its bodies."""

from __future__ import annotations

from typing import Any

from peatnode.documents.limits import (
    MAX_DEPTH,
    MAX_KEY_BYTES,
    MAX_NAMES_BYTES,
    MAX_POINTER_BYTES,
    MAX_VALUES,
)

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
FINGERPRINT: Schema = {"type": "string", "pattern": "^[0-9a-f]*$"}
DOCUMENT: Schema = {
    "type": "object",
    "description": f"A JSON object. It nests at most {MAX_DEPTH} deep, and holds at most {MAX_VALUES:,} values. "
    f"A key has at most {MAX_KEY_BYTES:,} bytes, the keys along a path at most {MAX_POINTER_BYTES:,} bytes together, "
    f"the paths to all members at most {MAX_NAMES_BYTES // 2**20} MiB. "
    "At the top level, _id is the id of the document, and no document may have a member _deleted.",
}
EXPIRY: Schema = {"type": ["number", "null"], "description": "Unix time in seconds; null: never."}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def nullable(kind: str) -> Schema:
    return {"type": [kind, "null"]}


def record(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object whose properties are required, except for the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}
