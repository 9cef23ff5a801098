"""How commands print: names and texts come from documents, peers and the network, so each line is made safe to show."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from peatnode.texts import escaped, one_line


def say(line: str, err: bool = False) -> None:
    """Prints one line. A character that would break, hide or reorder it is replaced (`texts.one_line`)."""
    click.echo(one_line(line), err=err)


def say_name(name: str) -> None:
    """Prints a name, as it is for a program that reads it, and safe to show on a terminal."""
    click.echo(one_line(name) if sys.stdout.isatty() else name)


def say_json(value: Any, indent: int | None = None) -> None:
    """Prints a value as JSON: a line, or indented for people."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    click.echo("\n".join(escaped(line) for line in text.split("\n")))
