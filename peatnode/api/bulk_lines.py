"""The lines of a bulk import: the write that a line requests, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from peatnode.api.encode_document import ReplicaProgress
from peatnode.api.failures import HttpProblem
from peatnode.api.json_rules import bad_id, parse_document
from peatnode.api.names import check_names
from peatnode.ipc.messages import WriteDocument, WriteKind, WrittenReply

DELETION = {"_deleted": True}
"""The content of a line, apart from `_id`, that deletes the document."""


def parse_line(
    collection: str, line: bytes, expires_at: float, new_id: Callable[[], str]
) -> WriteDocument:
    """The PUT or DELETE that the line requests. Raises HttpProblem.

    `new_id` makes the id of a line without `_id`.
    """
    value = parse_document(line)
    doc_id = value.pop("_id", "") or new_id()
    if not isinstance(doc_id, str):
        raise bad_id()
    check_names(collection, doc_id)
    if value == DELETION:
        return WriteDocument(collection, doc_id, WriteKind.DELETE, b"")
    content = orjson.dumps(value)
    return WriteDocument(collection, doc_id, WriteKind.PUT, content, expires_at=expires_at)


def line_answer(
    number: int, written: WrittenReply, replicas: ReplicaProgress | None = None
) -> dict[str, object]:
    """The answer to line `number` (from 1). The status is 202 if fewer peers than wanted have the write."""
    content: dict[str, object] = {
        "line": number,
        "id": written.id,
        "status": 201 if written.was_created else 200,
        "changed": written.was_changed,
        "sequence": written.sequence,
    }
    if replicas is not None:
        content["replicas"] = replicas.have
        if replicas.have < replicas.wanted:
            content["status"] = 202
    return content


def line_problem(number: int, problem: HttpProblem) -> dict[str, object]:
    return {"line": number, **problem.body()}
