"""The terminal, or the pipe, that we write to."""

from __future__ import annotations

import os
import sys

from rich.console import Console

PIPE_COLUMNS = 120
"""Where there is no terminal to fit."""


def open_screen() -> Console:
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return Console(highlight=False)
    return Console(highlight=False, width=PIPE_COLUMNS)
