"""`peatnode version`."""

from __future__ import annotations

import platform

import click

from peatnode import __version__
from peatnode.cli.terminal.output import say


@click.command()
def version() -> None:
    """Show the version."""
    say(f"peatnode {__version__} (Python {platform.python_version()})")
