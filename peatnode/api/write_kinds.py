"""The table of the kinds of write: media type, body, schema, and whether a write may be repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from peatnode.api.failures import HttpProblem
from peatnode.api.json_rules import parse_document, parse_patch, take_id
from peatnode.api.json_schema import DOCUMENT, TEXT, Schema, array, record, ref
from peatnode.ipc.messages import WriteKind


@dataclass(frozen=True, slots=True)
class WriteFormat:
    """How the API and the CLI read a kind of write. The store and the engine execute it."""

    kind: WriteKind
    read: Callable[[bytes, str], bytes]
    """From (body, id of the document) to the body that the store accepts. Raises HttpProblem."""
    is_idempotent: bool
    """Whether a write without conditions may be sent again after its answer was lost."""
    patch_type: str = ""
    """The media type, if the kind is a PATCH. Empty: the kind has an HTTP method of its own."""
    schema: Schema = field(default_factory=lambda: DOCUMENT)
    """The schema of the body, for /openapi.json."""


PATCH_OPERATION: Schema = record(
    ("value", "from"),
    op={"enum": ["add", "remove", "replace", "move", "copy", "test"]},
    path=TEXT,
    value={"description": "For add, replace and test."},
    **{"from": {"type": "string", "description": "For move and copy."}},
)
"""The component `PatchOperation` of /openapi.json."""


def _read_nothing(_: bytes, __: str) -> bytes:
    return b""


def _read_document(body: bytes, doc_id: str) -> bytes:
    named, content = take_id(parse_document(body), body)
    if named and named != doc_id:
        raise HttpProblem(
            422, "invalid", f"_id is {named!r}, but the document is {doc_id!r}.", "/_id"
        )
    return content


def _read_json_patch(body: bytes, _: str) -> bytes:
    parse_patch(body)
    return body


WRITE_FORMATS = {
    entry.kind: entry
    for entry in (
        WriteFormat(WriteKind.PUT, _read_document, is_idempotent=True),
        WriteFormat(
            WriteKind.PATCH,
            _read_document,
            is_idempotent=True,
            patch_type="application/merge-patch+json",
        ),
        WriteFormat(
            WriteKind.JSON_PATCH,
            _read_json_patch,
            is_idempotent=False,
            patch_type="application/json-patch+json",
            schema=array(ref("PatchOperation")),
        ),
        WriteFormat(WriteKind.DELETE, _read_nothing, is_idempotent=True),
    )
}

PATCH_FORMATS = {entry.patch_type: entry for entry in WRITE_FORMATS.values() if entry.patch_type}
"""The kinds of write that are a PATCH, by media type."""
