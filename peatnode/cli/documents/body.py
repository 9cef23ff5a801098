"""JSON from the command line, a file or standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from peatnode.cli.errors import CliError

STDIN = "-"


def read_body(text: str) -> bytes:
    """`@file` is the file's content, `-` standard input, all else the body itself."""
    if text == STDIN:
        return sys.stdin.buffer.read()
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            raise CliError(f"{text[1:]} cannot be read: {error.strerror}") from error
    return text.encode(errors="surrogateescape")


def checked(body: bytes, kind: type) -> bytes:
    """The body, if it is JSON of that kind; else a CliError that says where it is wrong."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise CliError(f"the body is not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise CliError(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise CliError("the body is nested far too deep") from error
    if not isinstance(value, kind):
        wanted = "an object" if kind is dict else "an array of operations"
        raise CliError(f"the body must be {wanted}, and is {_name(value)}")
    return body


def _refuse_constant(text: str) -> NoReturn:
    raise CliError(f"the body holds {text}, which is not JSON")


def _name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "an array"
        case _:
            return "an object"
