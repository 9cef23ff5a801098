"""`peatnode leave`."""

from __future__ import annotations

import os

import click

from peatnode.cli.errors import CliError
from peatnode.cli.options import with_data_dir
from peatnode.cli.target import find_local_node
from peatnode.cli.terminal.output import say


@click.command()
@with_data_dir
def leave(data_dir: str | None) -> None:
    """Make a node on this machine say goodbye for good when it stops, so that all its peers forget it.

    In Kubernetes a node finds out by itself whether it is removed for good.
    """
    from peatnode.cli.status.questions import ask_worker
    from peatnode.ipc.messages import GetNode, LeaveMesh

    node = find_local_node(data_dir or "", os.environ)
    ask_worker(node, "sync", LeaveMesh())
    try:
        reply = ask_worker(node, "supervisor", GetNode())
    except CliError:
        name, how = "The node", "Stop it now."
    else:
        name, how = reply.node_id, f"Stop it now: Ctrl-C where it runs, or `kill {reply.pid}`."
    say(f"{name} leaves the mesh when it stops: its peers then forget it.")
    say(f"{how} If it starts again, it is a member again.")
