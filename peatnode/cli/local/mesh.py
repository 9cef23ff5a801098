"""`peatnode mesh`: several nodes on this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from peatnode.cli.local.plan import FIRST_API_PORT, FIRST_QUIC_PORT, MAX_NODES, NodePlan, plan_node
from peatnode.cli.secret_file import ensure_secret
from peatnode.cli.terminal.program import program

PORT = click.IntRange(min=1, max=65535 - MAX_NODES)


@click.command()
@click.argument("count", type=click.IntRange(min=1, max=MAX_NODES), default=3)
@click.option(
    "--only",
    type=click.IntRange(min=0),
    metavar="NUMBER",
    help="Run only this node, to restart one that exited.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=".data/mesh",
    show_default=True,
    metavar="DIR",
    help="Directory of the nodes' data directories and of the secret.",
)
@click.option(
    "--api-port",
    type=PORT,
    default=FIRST_API_PORT,
    show_default=True,
    help="API port of the first node. Each further node has the next port.",
)
@click.option(
    "--quic-port",
    type=PORT,
    default=FIRST_QUIC_PORT,
    show_default=True,
    help="UDP port of sync of the first node. Each further node has the next port.",
)
def mesh(count: int, only: int | None, data_dir: Path, api_port: int, quic_port: int) -> int:
    """Run COUNT nodes on this machine that find each other by mDNS on 127.0.0.1.

    Ctrl-C stops all nodes, the last one first. A second Ctrl-C stops them all at once. If a node exits
    unexpectedly, the command that restarts it is printed, and the other nodes keep running.
    """
    from peatnode.cli.local.process_group import LocalMesh

    if only is not None and only >= count:
        raise click.UsageError(f"--only must be a node from 0 to {count - 1}")
    plans = tuple(plan_node(data_dir, number, api_port, quic_port) for number in range(count))
    chosen = plans if only is None else (plans[only],)
    ensure_secret(plans[0].secret_file)
    _show(chosen)
    restart = f"{program()} mesh {count}{_changed_options(data_dir, api_port, quic_port)} --only"
    return asyncio.run(LocalMesh(chosen, os.environ, restart).run())


def _changed_options(data_dir: Path, api_port: int, quic_port: int) -> str:
    """The options that differ from their defaults, as the user would type them."""
    options = (
        ("data-dir", str(data_dir), ".data/mesh"),
        ("api-port", str(api_port), str(FIRST_API_PORT)),
        ("quic-port", str(quic_port), str(FIRST_QUIC_PORT)),
    )
    return "".join(f" --{name} {value}" for name, value, usual in options if value != usual)


def _show(plans: tuple[NodePlan, ...]) -> None:
    rows = [("NODE", "API", "QUIC", "DATA")]
    rows += [(plan.name, plan.url, f"{plan.quic_port}/udp", str(plan.data_dir)) for plan in plans]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[3]]))
    click.echo()
