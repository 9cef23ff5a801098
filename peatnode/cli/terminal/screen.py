"""The terminal or the pipe to which a command writes."""

from __future__ import annotations

import os
import sys

import click
from rich.console import Console, RenderableType

PIPE_COLUMNS = 120
"""The width of a page without a terminal."""


def open_screen() -> Console:
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return Console(highlight=False)
    return Console(highlight=False, width=PIPE_COLUMNS)


def show(page: RenderableType, screen: Console) -> None:
    """Prints the page, without trailing blanks if the screen is not a terminal."""
    if screen.is_terminal:
        screen.print(page)
        return
    with screen.capture() as captured:
        screen.print(page)
    click.echo("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))
