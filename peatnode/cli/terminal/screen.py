"""The terminal, or the pipe, that we write to."""

from __future__ import annotations

import os
import sys

import click
from rich.console import Console, RenderableType

PIPE_COLUMNS = 120
"""Where there is no terminal to fit."""


def open_screen() -> Console:
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return Console(highlight=False)
    return Console(highlight=False, width=PIPE_COLUMNS)


def show(page: RenderableType, screen: Console) -> None:
    """Prints it; without the blanks at the ends of lines where it is no terminal that they fill."""
    if screen.is_terminal:
        screen.print(page)
        return
    with screen.capture() as captured:
        screen.print(page)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
