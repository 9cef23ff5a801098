"""The lines of a bulk import: the write that a line requests, and the answer to it."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from peatnode.api.encode_document import ReplicaProgress
from peatnode.api.failures import HttpProblem
from peatnode.api.json_rules import LINE, parse_document, pop_id
from peatnode.api.names import check_names
from peatnode.codec.lines import without_mark
from peatnode.documents.names import DELETED_MEMBER
from peatnode.ipc.messages import WriteDocument, WriteKind, WrittenReply

NO_DELETION = (
    "The name _deleted is reserved: a line that deletes a document has its _id, "
    '"_deleted": true, and no other member.'
)


def is_blank(line: bytes) -> bool:
    """Whether the line requests nothing: it counts, but has no answer."""
    return not without_mark(line).strip()


def parse_line(
    collection: str, line: bytes, expires_at: float, new_id: Callable[[], str]
) -> WriteDocument:
    """The PUT or DELETE that the line requests. Raises HttpProblem.

    `new_id` makes the id of a line without `_id`.
    """
    value = parse_document(without_mark(line), LINE)
    doc_id = pop_id(value)
    if DELETED_MEMBER in value and not (
        value[DELETED_MEMBER] is True and len(value) == 1 and doc_id
    ):
        raise HttpProblem(422, "invalid", NO_DELETION, f"/{DELETED_MEMBER}")
    doc_id = doc_id or new_id()
    check_names(collection, doc_id)
    if value.get(DELETED_MEMBER):
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
