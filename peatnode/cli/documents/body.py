"""The body of a write, from the command line, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from peatnode.cli.errors import CliError, cli_errors
from peatnode.ipc.messages import WriteKind

STDIN = "-"


def read_body(text: str) -> bytes:
    """The content of the file for `@file`, standard input for `-`, else the text itself. Raises CliError."""
    if text == STDIN:
        return sys.stdin.buffer.read()
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            raise CliError(f"{text[1:]} cannot be read: {error.strerror}") from error
    return text.encode(errors="surrogateescape")


def check_body(kind: WriteKind, id: str, body: bytes) -> None:
    """Refuses what the API refuses, before a request is sent. Raises CliError."""
    from peatnode.api.writes import content_of
    from peatnode.cli.documents.problem_errors import client_errors

    with cli_errors(), client_errors():
        content_of(kind, body, id)
