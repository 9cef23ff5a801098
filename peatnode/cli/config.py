"""`peatnode config`."""

from __future__ import annotations

import json
import os

import click

from peatnode.cli.errors import cli_errors
from peatnode.cli.options import with_output

VALUE_COLUMNS = 19
"""A longer value shifts only its own origin, so that usual lines fit 80 columns."""


@click.command()
@with_output
def config(output: str) -> None:
    """Show the settings of a node that would start here, and the origin of each value.

    Secrets are hidden.
    """
    from peatnode.config import read_settings

    with cli_errors():
        _, settings = read_settings(os.environ, {})
    if output == "json":
        content = {one.name: {"value": one.value, "origin": one.origin} for one in settings}
        click.echo(json.dumps(content, ensure_ascii=False))
        return
    width = max(len(one.name) for one in settings)
    values = max(min(len(one.value), VALUE_COLUMNS) for one in settings)
    for one in settings:
        click.echo(f"{one.name:<{width}}  {one.value or '-':<{values}}  {one.origin}")
