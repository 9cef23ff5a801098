"""`peatnode secret` and `peatnode identity`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from peatnode.cli.documents.body import STDIN
from peatnode.cli.errors import CliError, cli_errors
from peatnode.cli.options import with_output
from peatnode.cli.secret_file import new_secret, write_secret
from peatnode.cli.terminal.output import say, say_json

MAX_SECRET_BYTES = 64 * 1024


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the secret to FILE, readable only by you, and print nothing.",
)
def secret(out: Path | None) -> None:
    """Generate a formation secret: 32 random bytes in base64.

    Anyone who has the secret can join the mesh as any of its nodes.
    """
    if out is None:
        say(new_secret())
        return
    try:
        write_secret(out, new_secret())
    except FileExistsError:
        raise CliError(
            f"{out} already exists and was not changed",
            advice="Give another name, or remove the file first.",
        ) from None
    except OSError as error:
        raise CliError(f"{out} cannot be written: {error.strerror}") from error


@click.command()
@click.argument("hostname", required=False)
@click.option("--cluster", metavar="NAME", help="Name of the cluster. [env: PEAT_CLUSTER]")
@click.option(
    "--secret-file",
    metavar="FILE",
    help="File that holds the secret; - for standard input. "
    "[env: PEAT_FORMATION_SECRET, PEAT_FORMATION_SECRET_FILE]",
)
@with_output
def identity(
    hostname: str | None, cluster: str | None, secret_file: str | None, output: str
) -> None:
    """Show the identity of the node with this HOSTNAME: node id, device id and endpoint id."""
    from peatnode.config import load_config
    from peatnode.identity import derive_identity

    env = _secret_environment(secret_file)
    env["HOSTNAME"] = hostname or os.environ.get("HOSTNAME", "")
    env["PEAT_CLUSTER"] = os.environ.get("PEAT_CLUSTER", "") if cluster is None else cluster
    with cli_errors():
        config = load_config(env)
    found = derive_identity(config.secret.reveal(), config.node_id)
    if output == "json":
        content = {
            "node_id": config.node_id,
            "device_id": found.device_id,
            "endpoint_id": found.endpoint_id,
        }
        say_json(content)
        return
    say(f"node id      {config.node_id}")
    say(f"device id    {found.device_id}")
    say(f"endpoint id  {found.endpoint_id}")


def _secret_environment(secret_file: str | None) -> dict[str, str]:
    """The variables of the secret. The identity depends on no other setting of the environment."""
    if secret_file == STDIN:
        return {"PEAT_FORMATION_SECRET": sys.stdin.read(MAX_SECRET_BYTES).strip()}
    if secret_file:
        return {"PEAT_FORMATION_SECRET_FILE": secret_file}
    names = ("PEAT_FORMATION_SECRET", "PEAT_FORMATION_SECRET_FILE")
    return {name: os.environ.get(name, "") for name in names}
