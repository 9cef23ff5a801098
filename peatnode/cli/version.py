"""`peatnode version`."""

from __future__ import annotations

import platform

import click

from peatnode import __version__


@click.command()
def version() -> None:
    """Say which version this is."""
    click.echo(f"peatnode {__version__} (Python {platform.python_version()})")
