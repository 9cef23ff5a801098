"""`peatnode run`: a node in this process. The table of variables defines its flags."""

from __future__ import annotations

import os

import click

from peatnode.cli.errors import cli_errors
from peatnode.config import VARIABLES, Variable, flag_names, flag_of, load_config


def _option(variable: Variable, name: str) -> click.Option:
    """The flag that sets a variable, or the path of its file."""
    is_file = name != variable.name
    default = f"; {variable.default}" if variable.default and not is_file else ""
    return click.Option(
        [flag_of(name), name.lower()],
        metavar="FILE" if is_file else "TEXT",
        help=f"{'file that holds: ' if is_file else ''}{variable.help}  [{name}{default}]",
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
    params=[_option(variable, name) for variable in VARIABLES for name in flag_names(variable)],
    help=_run.__doc__,
    short_help="Run a node, configured by environment variables and flags.",
    epilog="Exit status: 0 stopped on request, 1 a worker died too often, 78 the configuration is invalid.",
)
