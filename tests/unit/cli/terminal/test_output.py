"""No name and no text that a command prints forges a line, moves the cursor or turns the direction of others."""

from __future__ import annotations

import ast
import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import peatnode.cli
from peatnode.cli.terminal.output import say, say_json, say_name
from peatnode.texts import REPLACEMENT

UNSHOWN = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x202E, 0x2066, 0xFEFF)]
FORGED = f"a{''.join(UNSHOWN)}b"

PRINTERS = {"terminal/output.py", "terminal/screen.py", "completion.py", "errors.py"}
"""They make text safe, or print what is theirs; and `local/`, whose nodes write their own log."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=[io.StringIO, Terminal], ids=["program", "terminal"])
def stdout(request: pytest.FixtureRequest) -> io.StringIO:
    made: io.StringIO = request.param()
    return made


def test_a_line_is_one_line(stdout: io.StringIO) -> None:
    with redirect_stdout(stdout):
        say(FORGED)
    assert stdout.getvalue() == f"a{REPLACEMENT * len(UNSHOWN)}b\n"


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_escaped_and_means_the_same(stdout: io.StringIO, indent: int | None) -> None:
    value = {FORGED: [FORGED, "\ud800", "ä\N{GRINNING FACE}"]}
    with redirect_stdout(stdout):
        say_json(value, indent)
    text = stdout.getvalue()
    assert json.loads(text) == value
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count("\n") == (1 if indent is None else 7)
    assert "ä\N{GRINNING FACE}" in text


def test_a_program_reads_a_name_as_it_is(stdout: io.StringIO) -> None:
    with redirect_stdout(stdout):
        say_name("a\u202eb")
    assert stdout.getvalue() == ("a\ufffdb\n" if stdout.isatty() else "a\u202eb\n")


def test_commands_print_through_these_functions() -> None:
    folder = Path(peatnode.cli.__path__[0])
    others = [
        f"{file.relative_to(folder)}:{node.lineno}"
        for file in sorted(folder.rglob("*.py"))
        if str(file.relative_to(folder)) not in PRINTERS and file.parent.name != "local"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"click.echo", "print"}
    ]
    assert not others
