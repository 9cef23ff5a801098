"""Parses the JSON body of a request, and refuses an invalid one with a status, a code and the place."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import orjson

from peatnode.api.failures import HttpProblem, from_bad_value
from peatnode.documents.json.patch import NOT_A_PATCH
from peatnode.documents.json.value import NOT_AN_OBJECT, TOO_DEEP, check_parsed
from peatnode.documents.limits import NESTS_TOO_DEEP
from peatnode.documents.names import ID_MEMBER
from peatnode.errors import BadValue

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")

_AT = re.compile(r": line (\d+) column (\d+) \(char (\d+)\)$")


BODY, LINE = "body", "line"
"""What a text is to its sender: the whole body, or one line of it."""


def parse_json(body: bytes, what: str = BODY) -> Any:
    """The value. Raises HttpProblem: 400 for broken JSON, 422 for a value that cannot be stored."""
    if not body.strip():
        raise HttpProblem(400, "broken-json", f"The {what} is empty: a JSON value is expected.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _explain(body, what, error)
    try:
        check_parsed(value, body)
    except BadValue as error:
        raise from_bad_value(error) from None
    return value


def parse_document(body: bytes, what: str = BODY) -> dict[str, Any]:
    """A JSON object. Raises HttpProblem."""
    value = parse_json(body, what)
    if not isinstance(value, dict):
        raise from_bad_value(BadValue(NOT_AN_OBJECT, code="not-an-object"))
    return value


def parse_patch(body: bytes) -> list[Any]:
    """A JSON Patch: an array. The engine checks its operations one by one. Raises HttpProblem."""
    value = parse_json(body)
    if not isinstance(value, list):
        raise from_bad_value(BadValue(NOT_A_PATCH))
    return value


def take_id(value: dict[str, Any], body: bytes) -> tuple[str, bytes]:
    """The id in `_id` (empty if there is none), and the document without it. Raises HttpProblem.

    `body` is the encoded `value`: it is returned unchanged if it has no `_id`.
    """
    doc_id = pop_id(value)
    return doc_id, orjson.dumps(value) if doc_id else body


def pop_id(value: dict[str, Any]) -> str:
    """Removes `_id` from a document and returns it. Empty: the document has none. Raises HttpProblem."""
    if ID_MEMBER not in value:
        return ""
    doc_id = value.pop(ID_MEMBER)
    if isinstance(doc_id, str) and doc_id:
        return doc_id
    raise HttpProblem(
        422,
        "invalid",
        "_id must be the id of the document, a string that is not empty.",
        f"/{ID_MEMBER}",
    )


def _explain(body: bytes, what: str, error: orjson.JSONDecodeError) -> NoReturn:
    if body.startswith(_UTF_16_MARKS):
        raise HttpProblem(
            400, "broken-json", f"The {what} is UTF-16, and JSON is UTF-8: encode it again."
        ) from error
    match = _AT.search(str(error))
    reason = _AT.sub("", str(error))
    if "ecursion" in reason or "depth" in reason:
        raise from_bad_value(BadValue(NESTS_TOO_DEEP, code=TOO_DEEP)) from error
    line = f"line {error.lineno}, " if what == BODY else ""
    where = f"{line}column {error.colno}" if match else ""
    raise HttpProblem(
        400,
        "broken-json",
        f"The {what} is not JSON: {reason}{f' ({where})' if where else ''}.",
        where,
    ) from error
