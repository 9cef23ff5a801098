"""`peatnode secret` and `peatnode identity`."""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
from pathlib import Path

import click

from peatnode.cli.complaints import Complaint, complaining
from peatnode.cli.exits import Exit
from peatnode.cli.secrets_file import new_secret, write_secret
from peatnode.cli.status import OUTPUT

MAX_SECRET_BYTES = 64 * 1024
MIN_SECRET_BYTES = 16


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there, readable by you alone, and print nothing.",
)
def secret(out: Path | None) -> None:
    """Make a formation secret: 32 random bytes in base64.

    Who has it can join the mesh and be any node of it.
    """
    if out is None:
        click.echo(new_secret())
        return
    try:
        write_secret(out, new_secret())
    except FileExistsError:
        raise Complaint(
            f"{out} exists and is left as it is", advice="Give another name, or remove it first."
        ) from None
    except OSError as error:
        raise Complaint(f"{out} cannot be written: {error.strerror}") from error


@click.command()
@click.argument("hostname", required=False)
@click.option("--cluster", metavar="NAME", help="[env: PEAT_CLUSTER]")
@click.option(
    "--secret-file",
    metavar="FILE",
    help="Where the secret is; - for standard input. [env: PEAT_FORMATION_SECRET, PEAT_FORMATION_SECRET_FILE]",
)
@OUTPUT
def identity(
    hostname: str | None, cluster: str | None, secret_file: str | None, output: str
) -> None:
    """Say who the node of this HOSTNAME will be: node id, device id and endpoint id."""
    from peatnode.identity import derive_identity

    name = hostname or os.environ.get("HOSTNAME") or "peat-mesh-0"
    cluster = os.environ.get("PEAT_CLUSTER", "") if cluster is None else cluster
    node_id = f"{name}.{cluster}" if cluster else name
    with complaining():
        found = derive_identity(_read_secret(secret_file), node_id)
    if output == "json":
        content = {
            "node_id": node_id,
            "device_id": found.device_id,
            "endpoint_id": found.endpoint_id,
        }
        click.echo(json.dumps(content))
        return
    click.echo(f"node id      {node_id}")
    click.echo(f"device id    {found.device_id}")
    click.echo(f"endpoint id  {found.endpoint_id}")


def _read_secret(file: str | None) -> bytes:
    if file == "-":
        text, where = sys.stdin.read(MAX_SECRET_BYTES), "standard input"
    elif not file and os.environ.get("PEAT_FORMATION_SECRET"):
        text, where = os.environ["PEAT_FORMATION_SECRET"], "PEAT_FORMATION_SECRET"
    elif path := file or os.environ.get("PEAT_FORMATION_SECRET_FILE", ""):
        try:
            with Path(path).open(errors="replace") as opened:
                text, where = opened.read(MAX_SECRET_BYTES), path
        except OSError as error:
            raise Complaint(
                f"{path} cannot be read: {error.strerror}", Exit.CONFIGURATION
            ) from error
    else:
        raise Complaint(
            "no secret was given",
            Exit.CONFIGURATION,
            "Set PEAT_FORMATION_SECRET or PEAT_FORMATION_SECRET_FILE, or give --secret-file FILE (-: standard input).",
        )
    return _decode_secret(text, where)


def _decode_secret(text: str, where: str) -> bytes:
    try:
        secret = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < MIN_SECRET_BYTES:
        raise Complaint(
            f"{where} holds no base64 of at least {MIN_SECRET_BYTES} bytes",
            Exit.CONFIGURATION,
            "`peatnode secret` makes one.",
        )
    return secret
