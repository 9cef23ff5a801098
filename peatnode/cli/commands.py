"""The table of commands. A command's module is imported when it runs, so that `peatnode version` is fast."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.terminal.streams import (
    describe_os_error,
    discard_output,
    escape_unknown_characters,
    open_closed_streams,
)

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run:run", "Run a node, configured by environment variables and flags."),
    "dev": ("local.dev:dev", "Run a node on this machine without any configuration."),
    "mesh": ("local.mesh:mesh", "Run several nodes on this machine that find each other."),
    "status": ("status.command:status", "Show the state of a node, its workers and its peers."),
    "peers": (
        "peers.command:peers",
        "List the peers of a node, forget one, or show what happened.",
    ),
    "leave": ("peers.leave:leave", "Make a node say goodbye for good when it stops."),
    "conflicts": (
        "status.conflicts:conflicts",
        "List what documents lost in conflicts, show it, or dismiss it.",
    ),
    "quarantine": (
        "status.quarantine:quarantine",
        "List what a node has set aside, accept it, or drop it.",
    ),
    "doc": ("documents.command:doc", "Read, write and follow documents."),
    "export": (
        "documents.export:export",
        "Write a collection to a file, one JSON document per line.",
    ),
    "import": (
        "documents.import_:import_",
        "Read documents from a file, one JSON document per line.",
    ),
    "secret": ("keys:secret", "Generate a formation secret."),
    "identity": ("keys:identity", "Show the identity that a node will have."),
    "config": ("config:config", "Show each setting and where its value comes from."),
    "version": ("version:version", "Show the version."),
    "completion": ("completion:completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """Lists the commands from the table and imports the module of a command on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"peatnode.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Documentation: docs/cli.md. No flag takes a secret: use a file, the environment or "
    "standard input.",
)
def cli() -> None:
    """Run nodes that keep the same documents, all of them writable, and work with those documents."""


def run_cli(args: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and exits the process. `args`: by default those of the process."""
    open_closed_streams()
    escape_unknown_characters()
    try:
        status = cli.main(args, prog_name="peatnode", standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        discard_output()  # the reader of the output has closed the pipe (`| head`)
        sys.exit(Exit.OK)
    except OSError as error:
        CliError(describe_os_error(error)).show()
        discard_output()
        sys.exit(Exit.FAILED)
    sys.exit(status if isinstance(status, int) else 0)
