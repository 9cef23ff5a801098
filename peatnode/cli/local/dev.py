"""`peatnode dev`: a node without any configuration."""

from __future__ import annotations

import os
from pathlib import Path

import click

from peatnode.cli.errors import cli_errors
from peatnode.cli.local.plan import MAX_NODES, NodePlan, plan_dev
from peatnode.cli.secret_file import ensure_secret
from peatnode.cli.terminal.program import program

DATA_DIR = ".data"


@click.command()
@click.argument("number", type=click.IntRange(min=0, max=MAX_NODES - 1), default=0)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA_DIR,
    show_default=True,
    metavar="DIR",
    help="Directory of the documents and the secret, also for the nodes 1, 2, …",
)
def dev(number: int, data_dir: Path) -> int:
    """Run a node on this machine: with mDNS, all addresses on 127.0.0.1, and a secret generated once.

    NUMBER 1, 2, … runs another node. The nodes find each other. Environment variables
    override these defaults.
    """
    from peatnode.config import load_config
    from peatnode.supervision.supervisor import run_node

    plan = plan_dev(data_dir, number)
    env = plan.environment(os.environ, is_one_of_many=number > 0)
    if env.get("PEAT_FORMATION_SECRET_FILE") == str(plan.secret_file):
        ensure_secret(plan.secret_file)
    with cli_errors():
        config = load_config(env, {})
    where = f"http://{config.broker_host}:{config.broker_port}"
    click.echo(_welcome(plan, where, number, data_dir), err=True)
    with cli_errors():
        return run_node(config)


def _welcome(plan: NodePlan, url: str, number: int, data_dir: Path) -> str:
    directory = "" if data_dir == Path(DATA_DIR) else f" --data-dir {data_dir}"
    return (
        f"{plan.name}: API at {url}, data in {plan.data_dir}\n"
        f"  status:         {program()} status --data-dir {plan.data_dir}\n"
        f"  another node:   {program()} dev {number + 1}{directory}   "
        "(in another terminal, same directory)\n"
    )
