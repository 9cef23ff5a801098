"""Three nodes, of which one has a wrong clock: it deletes nothing, sets no expiry, and says why."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.nodes import Node, nodes
from tests.support.waiting import wait
from tests.support.wall_clock import ShiftedClock

TWO_HOURS = 7200


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> ShiftedClock:
    """The clock of the last node, which starts two hours ahead."""
    clock = ShiftedClock(tmp_path_factory.mktemp("clock"))
    clock.set(TWO_HOURS)
    return clock


@pytest.fixture(scope="module")
def three(clock: ShiftedClock) -> Iterator[list[Node]]:
    with nodes(3, start=False) as made:
        made[2].settings = clock.variables
        for node in made:
            node.launch()
        for node in made:
            wait(node.is_ready, f"{node.name} to be ready", pause=0.05)
            wait(lambda node=node: node.is_connected(2), f"{node.name} to have its peers")
        yield made


def put(node: Node, path: str) -> dict:
    """The answer, a problem or not."""
    url = f"{node.url}/documents/notes/{path}"
    request = urllib.request.Request(url, b'{"a":1}', method="PUT")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def names(node: Node) -> set[str]:
    return {document["_id"] for document in node.get("/documents/notes")["documents"]}


def state(node: Node) -> str:
    return str(node.get("/peers")["clock"]["state"])


def sample(node: Node, name: str) -> float:
    with urllib.request.urlopen(node.url.removesuffix("/api/v1") + "/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[-1])


def wait_state(node: Node, expected: str) -> None:
    wait(lambda: state(node) == expected, f"the clock of {node.name} to be {expected}", pause=0.1)


def test_a_node_two_hours_ahead_deletes_nothing_sets_no_expiry_and_says_so(
    three: list[Node],
) -> None:
    first, second, wrong = three
    wait_state(first, "right")
    wait_state(wrong, "wrong")
    assert put(first, "hour?ttl=3600")["collection"]
    assert put(first, "short?ttl=3")["collection"]
    wait(lambda: "hour" in names(wrong), "the document to arrive")
    for node in three:
        wait(lambda node=node: "short" not in names(node), "the others to go on", pause=0.1)
        assert "hour" in names(node)
    refused = put(wrong, "refused?ttl=3600")
    assert (refused["status"], refused["type"]) == (503, "urn:peatnode:problem:clock")
    assert "node-0 is 7,200 s behind" in refused["detail"]
    assert put(wrong, "free")["collection"]
    assert put(second, "second?ttl=3600")["collection"]

    (problem,) = wrong.get("/node")["problems"]
    assert (problem["worker"], problem["name"]) == ("sync", "clock")
    ready = wrong.get("/ready")
    assert ready["ready"]
    (said,) = [one for one in ready["findings"] if one["where"] == "sync"]
    assert said["severity"] == "degraded"
    assert "2 of 2 connected peers" in said["message"]
    assert [sample(node, "peatnode_clock_right") for node in three] == [1.0, 1.0, 0.0]
    offset = 'peatnode_sync_peer_clock_offset_seconds{peer="node-2"}'
    wait(lambda: abs(sample(first, offset) - TWO_HOURS) < 5, "the next comparison", pause=0.2)
    (peer,) = [peer for peer in first.get("/peers")["peers"] if peer["id"] == "node-2"]
    assert abs(peer["clock_offset"] - TWO_HOURS) < 5


def test_a_clock_that_is_twelve_seconds_ahead_is_a_finding_with_the_number(
    three: list[Node], clock: ShiftedClock
) -> None:
    first, _, wrong = three
    for seconds, direction in ((12, "ahead of"), (-12, "behind")):
        clock.set(seconds)
        wait(lambda s=direction: s in message(wrong), "the finding", 25, pause=0.1)
        assert message(wrong).endswith(f" s {direction} the median of its 2 peers.")
        shown = wrong.get("/peers")["clock"]
        assert shown["state"] == "right"
        assert abs(shown["offset_seconds"] - seconds) < 1
        assert abs(sample(wrong, "peatnode_clock_offset_seconds") - seconds) < 1
        (problem,) = wrong.get("/node")["problems"]
        assert (problem["worker"], problem["name"]) == ("sync", "clock")
        assert not problem["blocks_readiness"]
        assert wrong.is_ready()
        assert first.get("/node")["problems"] == []
        assert abs(first.get("/peers")["clock"]["offset_seconds"]) < 1
        assert put(wrong, "restricts-nothing?ttl=3600")["collection"]
    clock.set(0)
    wait(lambda: wrong.get("/node")["problems"] == [], "the finding to end", 25, pause=0.1)


def message(node: Node) -> str:
    return str(node.get("/peers")["clock"]["message"])


def test_a_node_that_starts_in_1970_sets_no_expiry_until_its_clock_is_right(
    three: list[Node], clock: ShiftedClock
) -> None:
    wrong = three[2]
    wrong.stop()
    clock.set(-int(time.time()))
    wrong.start()
    refused = put(wrong, "refused?ttl=3600")
    assert refused["type"] == "urn:peatnode:problem:clock"
    assert "shows 1970-01-01" in refused["detail"]
    assert put(wrong, "free-of-1970")["collection"]
    wait(lambda: wrong.is_connected(2), "its peers")
    assert [state(node) for node in three] == ["right", "right", "wrong"]
    clock.set(0)
    wait_state(wrong, "right")
    assert put(wrong, "accepted?ttl=3600")["collection"]
    assert wrong.get("/node")["problems"] == []
    for node in three:
        wait(lambda node=node: "accepted" in names(node), "the document to arrive")
        assert {"hour", "free"} <= names(node)
        assert "refused" not in names(node)


def test_a_clock_that_is_set_wrong_while_the_node_runs_deletes_nothing(
    three: list[Node], clock: ShiftedClock
) -> None:
    first, _, wrong = three
    clock.set(0)
    wait_state(wrong, "right")
    assert put(wrong, "before?ttl=3600")["expires_at"]
    clock.set(TWO_HOURS)
    refused = put(wrong, "refused?ttl=3600")
    assert refused["status"] == 503, "not even in the moment before the next comparison"
    wait_state(wrong, "wrong")
    assert put(first, "short?ttl=2")["collection"]
    for node in three:
        wait(lambda node=node: "short" not in names(node), "the others to go on", pause=0.1)
        assert "before" in names(node)
