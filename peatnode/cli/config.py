"""`peatnode config`."""

from __future__ import annotations

import os

import click

from peatnode.cli.errors import cli_errors
from peatnode.cli.options import with_output
from peatnode.cli.terminal.output import say, say_json

VALUE_COLUMNS = 19
"""Width of the column of values. A longer value shifts only its own origin: usual lines fit 80 columns."""


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
        content = {
            setting.name: {"value": setting.value, "origin": setting.origin} for setting in settings
        }
        say_json(content)
        return
    width = max(len(setting.name) for setting in settings)
    values = max(min(len(setting.value), VALUE_COLUMNS) for setting in settings)
    for setting in settings:
        say(f"{setting.name:<{width}}  {setting.value or '-':<{values}}  {setting.origin}")
