"""The `peatnode` command: `commands` is the table of commands, and each command is a module of its own.

No other package imports from here; commands use `peatnode.client`, `peatnode.ipc` and `peatnode.supervision`.
"""

from __future__ import annotations


def main() -> None:
    from peatnode.cli.commands import run_cli

    run_cli()
