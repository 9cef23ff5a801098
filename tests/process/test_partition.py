"""Two machines whose nodes have found each other by mDNS, and a cut between them that neither machine notices."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.machines import MachineNode, joined_machines
from tests.support.waiting import wait

CUT_SECONDS = float(os.environ.get("PEAT_CUT_SECONDS", "5"))
"""How long the absence is watched. After 200 s discovery has forgotten the peer, too."""

DEGRADED = 3


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[list[MachineNode]]:
    with joined_machines(2) as machines:
        made = [
            MachineNode(machine, f"node-{n}", tmp_path / f"node-{n}")
            for n, machine in enumerate(machines)
        ]
        for node in made:
            node.start()
        yield made
        for node in made:
            node.stop()


def peers(node: MachineNode) -> list[dict[str, Any]]:
    done = node.ask("peers", "--json")
    return list(json.loads(done.stdout)) if done.returncode == 0 else []


def states(node: MachineNode) -> list[tuple[str, str]]:
    return [(peer["id"], peer["state"]) for peer in peers(node)]


def put(node: MachineNode) -> None:
    done = node.ask("doc", "put", "notes", node.name, "-", given=json.dumps({"by": node.name}))
    assert done.returncode == 0, done.stderr


def test_both_sides_of_a_cut_say_so_as_long_as_it_lasts(pair: list[MachineNode]) -> None:
    first, second = pair
    for node, other in ((first, second), (second, first)):
        wait(
            lambda node=node, other=other: (other.name, "connected") in states(node),
            f"{node.name} to be connected",
            30,
            pause=0.3,
        )
    second.machine.unplug()
    for node in pair:
        put(node)
    for node, other in ((first, second), (second, first)):
        wait(
            lambda node=node, other=other: states(node) == [(other.name, "absent")],
            f"{node.name} to miss {other.name}",
            40,
            pause=0.5,
        )
    time.sleep(CUT_SECONDS)
    for node, other in ((first, second), (second, first)):
        wait(
            lambda node=node: node.ask("status").returncode == DEGRADED,
            f"the status of {node.name} to be degraded",
            30,
            pause=0.5,
        )
        shown = node.ask("status").stdout
        assert f"{other.name} is absent since" in " ".join(shown.split())
    second.machine.plug_in()
    for node, other in ((first, second), (second, first)):
        wait(
            lambda node=node, other=other: (
                node.ask("doc", "get", "notes", other.name).returncode == 0
            ),
            f"{node.name} to have what {other.name} has written",
            60,
            pause=0.5,
        )
        wait(lambda node=node: node.ask("status").returncode == 0, "it to be healthy", 30, 0.5)
