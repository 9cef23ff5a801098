"""`peatnode run`: a node in this process. The table of variables defines its flags."""

from __future__ import annotations

import os

import click

from peatnode.cli.errors import cli_errors
from peatnode.config import VARIABLES, Variable, flag_of, load_config


def _option(variable: Variable) -> click.Option:
    """The flag of a variable. A secret has only a flag for its file: other users can see a command line."""
    name = f"{variable.name}_FILE" if variable.is_secret else variable.name
    default = f"; {variable.default}" if variable.default and not variable.is_secret else ""
    return click.Option(
        [flag_of(name), name.lower()],
        metavar="FILE" if variable.is_secret else "TEXT",
        help=f"{'file that holds: ' if variable.is_secret else ''}{variable.help}  [{name}{default}]",
    )


def _run(**given: str | None) -> int:
    """Run a node, configured by environment variables and flags. A flag overrides its variable."""
    from peatnode.supervision.supervisor import run_node

    flags = {name.upper(): value for name, value in given.items() if value is not None}
    with cli_errors():
        return run_node(load_config(os.environ, flags))


run = click.Command(
    "run",
    callback=_run,
    params=[_option(variable) for variable in VARIABLES],
    help=_run.__doc__,
    short_help="Run a node, configured by environment variables and flags.",
    epilog="Exit status: 0 stopped on request, 1 a worker died too often, 78 the configuration is invalid.",
)
