"""Reads the JSON objects that the Kubernetes API sends. No I/O."""

from __future__ import annotations

import json
from typing import Any

from peatnode.errors import PeatnodeError


class MalformedAnswer(PeatnodeError):
    """The API server sent something that is not an object, a list or an event of the expected kind."""


def read_object(text: bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedAnswer(f"the response is not JSON: {type(error).__name__}") from error
    if not isinstance(content, dict):
        raise MalformedAnswer("the response is not a JSON object")
    return content


def field_object(content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedAnswer(f"{name} is not an object")
    return found


def field_text(content: dict[str, Any], name: str) -> str:
    found = content.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise MalformedAnswer(f"{name} is not a string")
    return found
