"""The table of commands. A command's module is imported when it is run: `peatnode version` waits for none of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import click

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.terminal.streams import discard_output, open_missing, what_failed

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("run:run", "Run a node, set up by environment and flags."),
    "dev": ("local.dev:dev", "Run a node on this machine without any setting up."),
    "mesh": ("local.mesh:mesh", "Run several nodes on this machine that find each other."),
    "status": ("status.command:status", "Say how the node is, its workers and its peers."),
    "peers": ("status.command:peers", "List the node's peers."),
    "doc": ("documents.command:doc", "Read, write and follow documents."),
    "export": (
        "documents.export:export",
        "Write a collection to a file, one JSON document a line.",
    ),
    "import": (
        "documents.import_:import_",
        "Read documents from a file, one JSON document a line.",
    ),
    "secret": ("keys:secret", "Make a formation secret."),
    "identity": ("keys:identity", "Say who a node will be, before it runs."),
    "config": ("config:config", "Say what is set, and where."),
    "version": ("version:version", "Say which version this is."),
    "completion": ("completion:completion", "Print the shell's completion script."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and one sentence; imports one when it is asked for."""

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
    epilog="Documentation: docs/cli.md. Secrets come from files, the environment or standard input, never from flags.",
)
def cli() -> None:
    """peatnode: the same documents, writable, on every node."""


def run_cli(args: Sequence[str] | None = None) -> NoReturn:
    """Ends by SystemExit. `args`: else those of the process."""
    open_missing()
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
        discard_output()  # whoever read us has read enough (`| head`)
        sys.exit(Exit.OK)
    except OSError as error:
        CliError(what_failed(error)).show()
        discard_output()
        sys.exit(Exit.FAILED)
    sys.exit(status if isinstance(status, int) else 0)
