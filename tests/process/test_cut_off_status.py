"""A node whose only peer is gone says so on both ways for as long as it lasts, and stays ready."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.nodes import Node, nodes
from tests.support.processes import peatnode
from tests.support.waiting import wait


def status(node: Node, *target: str) -> tuple[int, str, list[dict[str, str]]]:
    done = peatnode("status", "-o", "json", *(target or ("--data-dir", str(node.directory))))
    content = json.loads(done.stdout)
    return done.returncode, content["status"], content["findings"]


@pytest.fixture
def left() -> Iterator[Node]:
    """The first of two nodes that were in sync. The other one was killed, and this one restarted since."""
    with nodes(2) as (first, second):
        wait(lambda: first.get("/peers")["peers"][0]["in_sync"], "the nodes to be in sync")
        second.kill()
        wait(lambda: first.get("/peers")["peers"][0]["state"] == "absent", "the absence", 30)
        yield first


def absences(node: Node) -> list[dict[str, Any]]:
    found = node.get("/ready")["findings"]
    return [one for one in found if one["where"] == "peer node-1"]


def test_a_peer_that_is_gone_is_told_on_both_ways_until_it_is_forgotten(left: Node) -> None:
    (finding,) = absences(left)
    assert finding["severity"] == "notice", "it may be a restart"
    wait(lambda: absences(left)[0]["severity"] == "degraded", "the end of the grace", 30)
    wait(lambda: "cannot be reached" in absences(left)[0]["message"], "a failed dial", 30)
    check_verdict(left)
    left.stop()
    left.start()
    wait(lambda: absences(left)[0]["severity"] == "degraded", "the end of the grace", 30)
    check_verdict(left)
    assert peatnode("peers", "forget", "node-1", "--data-dir", str(left.directory)).returncode == 0
    wait(lambda: not absences(left), "the peer to be forgotten")
    assert "node-1" not in json.dumps(left.get("/ready"))


def check_verdict(node: Node) -> None:
    assert node.get("/ready")["ready"]
    here, there = status(node), status(node, "--url", f"http://127.0.0.1:{node.api_port}")
    assert here[:2] == there[:2] == (3, "degraded")
    for _, _, findings in (here, there):
        (message,) = [one["message"] for one in findings if one["where"] == "peer node-1"]
        assert re.match(r"node-1 is absent since \d\d:\d\d UTC \(.*\); it ", message)
        assert not re.search("[0-9a-f]{16}", message)
