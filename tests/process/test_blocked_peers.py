"""A member that does harm is blocked on a node: at once, until an operator ends it, and it says so itself."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest

from peatnode.cli.exits import Exit
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait


@pytest.fixture(scope="module")
def mesh() -> Iterator[list[Node]]:
    with nodes(3) as started:
        yield started


def put(node: Node, name: str) -> None:
    body = json.dumps({"by": node.name}).encode()
    request = urllib.request.Request(f"{node.url}/documents/c/{name}", body, method="PUT")
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request, timeout=10).close()


def findings(node: Node, name: str) -> list[str]:
    return [one["message"] for one in node.get("/ready")["findings"] if name in one["where"]]


def test_a_blocked_member_is_out_here_and_now_and_after_a_restart(mesh: list[Node]) -> None:
    first, second, third = mesh
    done = first.command("peers", "block", third.name, "--reason", "it deletes")
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    seen = first.peer(third.name)
    assert (seen["state"], seen["connected"]) == ("blocked", False)
    wait(lambda: not third.peer(first.name)["connected"], "the blocked node to notice")
    wait(
        lambda: third.peer(first.name)["reason"] == f"blocked by {first.name}",
        "the blocked node to say by whom",
    )
    assert any("blocked by" in message for message in findings(third, first.name))
    assert second.peer(third.name)["connected"]  # it holds on one node
    first.stop()
    first.start()
    wait(lambda: first.peer(second.name).get("connected"), "the other peer to be back")
    assert first.peer(third.name)["state"] == "blocked"
    (message,) = findings(first, third.name)
    assert "is blocked" in message
    assert "it deletes" in message
    assert "blocked" in first.command("status").stdout
    assert first.get("/ready")["ready"]
    own = first.command("peers", "block", first.name)
    assert (own.returncode, "this node cannot block itself" in own.stderr) == (Exit.FAILED, True)
    assert first.command("peers", "unblock", third.name).returncode == Exit.OK
    put(third, "after")
    wait(lambda: first.peer(third.name)["in_sync"], "the member to be back")


def test_a_node_is_blocked_before_it_is_known(mesh: list[Node]) -> None:
    first = mesh[0]
    assert first.command("peers", "block", "stranger").returncode == Exit.OK
    assert first.peer("stranger")["state"] == "blocked"
    bad = first.command("peers", "block", "a b")
    assert (bad.returncode, "is not the name of a node" in bad.stderr) == (Exit.FAILED, True)
