"""What docs/how-to/a-peer-is-gone.md tells to do, with three nodes: look, forget, and leave."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peatnode.cli.exits import Exit
from tests.support.nodes import Node, nodes
from tests.support.processes import peatnode
from tests.support.waiting import wait

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "a-peer-is-gone.md"


@pytest.fixture(scope="module")
def mesh() -> Iterator[list[Node]]:
    with nodes(3) as started:
        yield started


def run(node: Node) -> None:
    """Starts the node again if an earlier test has ended it."""
    assert node.process is not None
    if node.process.poll() is not None:
        node.start()


def remote(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    return peatnode(*arguments, PEAT_URL=f"http://127.0.0.1:{node.api_port}")


def command_of(page: str, beginning: str, peer: str) -> list[str]:
    """The command of the page that begins so, about this peer."""
    (line,) = re.findall(rf"^peatnode ({beginning}[^#\n]*)", page, re.MULTILINE)
    return str(line).replace("peat-mesh-3", peer).split()


def seen_by(node: Node, name: str) -> dict[str, Any]:
    """What the node tells of a peer that it remembers."""
    found = [peer for peer in node.get("/peers")["peers"] if peer["id"] == name]
    return found[0] if found and found[0]["remembered"] else {}


def has_finding(node: Node, name: str) -> bool:
    """Whether the node works with a restriction because of the peer."""
    found = node.get("/ready")["findings"]
    return any((one["where"], one["severity"]) == (f"peer {name}", "degraded") for one in found)


def kinds(node: Node, name: str) -> list[str]:
    return [event["kind"] for event in node.get("/peer-log")["events"] if event["peer"] == name]


def test_a_peer_that_died_is_seen_until_it_is_forgotten_everywhere(mesh: list[Node]) -> None:
    first, second, third = mesh
    run(third)
    wait(lambda: seen_by(first, third.name).get("in_sync"), "the peers to be in sync")
    third.kill()
    for node in (first, second):
        wait(lambda node=node: seen_by(node, third.name).get("state") == "absent", "the absence")
    listed = json.loads(first.command("peers", "--json").stdout)
    (absent,) = [peer for peer in listed if peer["id"] == third.name]
    assert absent["absent_since"] <= absent["last_equal"] + 60
    assert "absent" in remote(second, "peers").stdout
    wait(lambda: has_finding(first, third.name), "the absence to be a restriction")
    assert first.command("status").returncode == Exit.DEGRADED
    assert first.get("/ready")["ready"] is True
    assert "disconnected" in kinds(first, third.name)
    forget = command_of(PAGE.read_text(encoding="utf-8"), "peers forget", third.name)
    refused = first.command(*forget[:-1], second.name)
    assert (refused.returncode, "is connected" in refused.stderr) == (Exit.FAILED, True)
    unknown = remote(first, *forget[:-1], f"{third.name}2")
    assert (unknown.returncode, third.name in unknown.stderr) == (Exit.NOT_FOUND, True)
    assert first.command(*forget).returncode == Exit.OK
    for node in (first, second):
        wait(lambda node=node: not seen_by(node, third.name), "both to forget it")
        assert kinds(node, third.name)[-1] == "forgotten"


def test_a_node_that_comes_back_is_a_member_until_it_leaves(mesh: list[Node]) -> None:
    first, second, third = mesh
    run(third)
    for node in (first, second):
        wait(lambda node=node: seen_by(node, third.name).get("connected"), "it to be back")
    left = third.command(*command_of(PAGE.read_text(encoding="utf-8"), "leave", third.name))
    assert (left.returncode, left.stderr) == (Exit.OK, "")
    assert f"{third.name} leaves the mesh when it stops" in left.stdout
    assert seen_by(first, third.name)["connected"]
    third.stop()
    for node in (first, second):
        wait(lambda node=node: not seen_by(node, third.name), "both to forget it")
        assert "left" in kinds(node, third.name)
    log = first.command("peers", "log", third.name)
    assert "left" in log.stdout
