"""The `peatnode` command: `commands` is the table of commands, and each command is a module of its own.

Code for people and scripts at a terminal enters; no other package imports it.
"""

from __future__ import annotations


def main() -> None:
    from peatnode.cli.commands import run_cli

    run_cli()
