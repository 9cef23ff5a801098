"""`peatnode completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

INSTALLATION = {
    "bash": 'eval "$(peatnode completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(peatnode completion zsh)"    # in ~/.zshrc',
    "fish": "peatnode completion fish > ~/.config/fish/completions/peatnode.fish",
}


@click.command(
    epilog="\b\n" + "\n".join(INSTALLATION.values()),
)
@click.argument("shell", type=click.Choice(list(INSTALLATION)))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    from peatnode.cli.commands import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "peatnode", "_PEATNODE_COMPLETE").source())
