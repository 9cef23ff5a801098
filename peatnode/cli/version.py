"""`peatnode version`."""

from __future__ import annotations

import platform

import click

from peatnode import __version__


@click.command()
def version() -> None:
    """Show the version."""
    click.echo(f"peatnode {__version__} (Python {platform.python_version()})")
