"""The JSON body of a request: what is refused, with which status, code and place."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from peatnode.api.failures import HttpProblem
from peatnode.documents.limits import MAX_DEPTH, MAX_KEY_BYTES

MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -(2**63)

_AT = re.compile(r": line (\d+) column (\d+) \(char (\d+)\)$")


def parse_json(body: bytes) -> Any:
    """The value. Raises HttpProblem: 400 for broken JSON (with its place), 422 for what cannot be stored."""
    if not body.strip():
        raise HttpProblem(400, "broken-json", "The body is empty: a JSON value is expected.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _explain(body, error)
    check_value(value, body)
    return value


def parse_document(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises HttpProblem."""
    value = parse_json(body)
    if not isinstance(value, dict):
        raise HttpProblem(
            422, "not-an-object", f"A document is a JSON object; this is {_kind(value)}.", "/"
        )
    return value


def parse_patch(body: bytes) -> list[Any]:
    """A JSON Patch: an array of operations, which the engine checks one by one. Raises HttpProblem."""
    value = parse_json(body)
    if not isinstance(value, list):
        raise HttpProblem(
            422, "invalid", f"A JSON Patch is an array of operations; this is {_kind(value)}.", "/"
        )
    return value


def check_value(value: Any, body: bytes = b"") -> None:
    """Depth, key length and the range of numbers. Raises HttpProblem."""
    stack: list[tuple[Any, str, int]] = [(value, "", 1)]
    suspects = False
    while stack:
        item, where, depth = stack.pop()
        if isinstance(item, (dict, list)):
            if depth > MAX_DEPTH:
                raise HttpProblem(
                    422, "too-deep", f"Nested more than {MAX_DEPTH} levels deep.", where
                )
            if isinstance(item, dict):
                for key, below in item.items():
                    pointer = f"{where}/{_escaped(key)}"
                    _check_key(key, where)
                    if below.__class__ is not str and below.__class__ is not bool:
                        stack.append((below, pointer, depth + 1))
            else:
                stack.extend((below, f"{where}/{i}", depth + 1) for i, below in enumerate(item))
        elif isinstance(item, float):
            suspects = suspects or abs(item) >= MAX_INTEGER
        elif isinstance(item, int) and not MIN_INTEGER <= item <= MAX_INTEGER:
            _refuse_number(where)
    if suspects and body:
        json.loads(body, parse_int=_check_integer, parse_float=_check_float)


def _check_key(key: str, where: str) -> None:
    if len(key) * 4 > MAX_KEY_BYTES and len(key.encode()) > MAX_KEY_BYTES:
        raise HttpProblem(
            422, "key-too-long", f"A key is longer than {MAX_KEY_BYTES} bytes.", where or "/"
        )


def _check_integer(text: str) -> int:
    number = int(text) if len(text) < 30 else MAX_INTEGER + 1
    if not MIN_INTEGER <= number <= MAX_INTEGER:
        _refuse_number("")
    return number


def _check_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        _refuse_number("")
    return number


def _refuse_number(where: str) -> NoReturn:
    raise HttpProblem(422, "number-out-of-range", "A number does not fit 64 bits.", where)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


def _explain(body: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    match = _AT.search(str(error))
    reason = _AT.sub("", str(error))
    if "ecursion" in reason or "depth" in reason:
        raise HttpProblem(422, "too-deep", "Nested far too deep.") from error
    where = f"line {error.lineno}, column {error.colno}" if match else ""
    raise HttpProblem(
        400, "broken-json", f"This is not JSON: {reason}{f' ({where})' if where else ''}.", where
    ) from error


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
