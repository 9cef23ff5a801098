"""The `peatnode` command. `commands.py` is the table of what it can do; each command is a module of its own."""

from __future__ import annotations


def main() -> None:
    from peatnode.cli.commands import run_cli

    run_cli()
