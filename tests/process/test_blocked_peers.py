"""A member that does harm is blocked on a node: at once, until an operator ends it, and it says so itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from peatnode.cli.exits import Exit
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait


@pytest.fixture(scope="module")
def mesh() -> Iterator[list[Node]]:
    with nodes(3) as started:
        yield started


def peatnode(node: Node, *args: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PEAT_")}
    return subprocess.run(
        [sys.executable, "-m", "peatnode.cli", *args],
        env={**clean, "PEAT_DATA_DIR": str(node.directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def seen_by(node: Node, name: str) -> dict[str, Any]:
    return next((peer for peer in node.get("/peers")["peers"] if peer["id"] == name), {})


def put(node: Node, name: str) -> None:
    body = json.dumps({"by": node.name}).encode()
    request = urllib.request.Request(f"{node.url}/documents/c/{name}", body, method="PUT")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).close()


def findings(node: Node, name: str) -> list[str]:
    return [one["message"] for one in node.get("/ready")["findings"] if name in one["where"]]


def test_a_blocked_member_is_out_here_and_now_and_after_a_restart(mesh: list[Node]) -> None:
    first, second, third = mesh
    done = peatnode(first, "peers", "block", third.name, "--reason", "it deletes")
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    seen = seen_by(first, third.name)
    assert (seen["state"], seen["connected"]) == ("blocked", False)
    wait(lambda: not seen_by(third, first.name)["connected"], "the blocked node to notice")
    wait(
        lambda: seen_by(third, first.name)["reason"] == f"blocked by {first.name}",
        "the blocked node to say by whom",
    )
    assert any("blocked by" in message for message in findings(third, first.name))
    assert seen_by(second, third.name)["connected"]  # it holds on one node
    first.stop()
    first.start()
    wait(lambda: seen_by(first, second.name).get("connected"), "the other peer to be back")
    assert seen_by(first, third.name)["state"] == "blocked"
    (message,) = findings(first, third.name)
    assert "is blocked" in message
    assert "it deletes" in message
    assert "blocked" in peatnode(first, "status").stdout
    assert first.get("/ready")["ready"]
    own = peatnode(first, "peers", "block", first.name)
    assert (own.returncode, "this node cannot block itself" in own.stderr) == (Exit.FAILED, True)
    assert peatnode(first, "peers", "unblock", third.name).returncode == Exit.OK
    put(third, "after")
    wait(lambda: seen_by(first, third.name)["in_sync"], "the member to be back", 40)


def test_a_node_is_blocked_before_it_is_known(mesh: list[Node]) -> None:
    first = mesh[0]
    assert peatnode(first, "peers", "block", "stranger").returncode == Exit.OK
    assert seen_by(first, "stranger")["state"] == "blocked"
    bad = peatnode(first, "peers", "block", "a b")
    assert (bad.returncode, "is not the name of a node" in bad.stderr) == (Exit.FAILED, True)
