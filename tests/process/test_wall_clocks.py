"""Three nodes, of which one has a wrong clock: it deletes nothing, sets no expiry, and says why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        (finding,) = [f for f in wrong.get("/ready")["findings"] if "clock" in f["message"]]
        assert (finding["severity"], finding["where"]) == ("degraded", "sync")
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


def ages(node: Node) -> list[float]:
    """Everything that tells how long something has lasted, in seconds: by the clock of the node, as readers count."""
    shown, peers = node.get("/node"), node.get("/peers")
    starts = [shown["started_at"], *(worker["started_at"] for worker in shown["workers"])]
    starts += [problem["since"] for problem in shown["problems"]]
    seen = [peer[name] for peer in peers["peers"] for name in ("connected_since", "last_seen")]
    uptimes = [shown["uptime_secs"], *(worker["uptime_secs"] for worker in shown["workers"])]
    uptimes.append(sample(node, "peatnode_uptime_seconds"))
    return [
        *uptimes,
        *(shown["now"] - start for start in starts),
        *(peers["now"] - moment for moment in seen),
    ]


def test_nothing_lasts_longer_or_shorter_when_the_clock_is_set(
    three: list[Node], clock: ShiftedClock
) -> None:
    wrong = three[2]
    began = time.monotonic()
    wrong.stop()
    clock.set(0)
    wrong.start()
    wait(lambda: wrong.is_connected(2), "its peers")
    for shift in (TWO_HOURS, -TWO_HOURS):
        clock.set(shift)
        wait(lambda: wrong.get("/node")["problems"] != [], "the clock to be judged", pause=0.1)
        told = wrong.get("/node")["now"] - time.time()
        assert abs(told - shift) < 5
        found = ages(wrong)
        assert -2 < min(found) <= max(found) < time.monotonic() - began + 2, found
    assert abs(status_of(wrong)["taken_at"] - wrong.get("/node")["now"]) < 5, "a remote one, too"


def status_of(node: Node) -> dict[str, Any]:
    """As `peatnode status` on another machine, whose clock is right."""
    program = Path(sys.executable).with_name("peatnode")
    command = [program, "status", "--output", "json", "--url", node.url.removesuffix("/api/v1")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_peer_that_is_gone_was_last_seen_by_the_clock_as_it_is_now(
    three: list[Node], clock: ShiftedClock
) -> None:
    first, _, wrong = three
    clock.set(0)
    began = time.monotonic()
    wait(lambda: wrong.is_connected(2), "its peers")
    first.stop()
    wait(lambda: not wrong.is_connected(2), "the goodbye")
    clock.set(TWO_HOURS)
    peers = wrong.get("/peers")
    (gone,) = [peer for peer in peers["peers"] if peer["id"] == first.name]
    assert -2 < peers["now"] - gone["last_seen"] < time.monotonic() - began + 2
    first.start()
    wait(lambda: wrong.is_connected(2), "its peers")


@pytest.mark.parametrize("kind", ["worker", "node"])
def test_what_is_restarted_with_its_clock_two_hours_back_syncs_at_once(
    three: list[Node], clock: ShiftedClock, kind: str
) -> None:
    """Its peers hold the connections of the process before for ten seconds: it was killed."""
    first, _, wrong = three
    clock.set(0)
    kill_sync(wrong)
    wait_connected_anew(wrong, first, time.time())
    clock.set(-TWO_HOURS)
    if kind == "node":
        wrong.kill()
        wrong.launch()
    else:
        kill_sync(wrong)
    began = time.monotonic()
    wait(wrong.is_ready, "the node to be back", pause=0.02)
    assert put(first, f"restarted-{kind}")["collection"]
    wait(lambda: f"restarted-{kind}" in names(wrong), "sync", 9, pause=0.02)
    assert put(wrong, f"back-{kind}")["collection"]
    wait(lambda: f"back-{kind}" in names(first), "sync", 9, pause=0.02)
    assert time.monotonic() - began < 9, "before the idle timeout"


def kill_sync(node: Node) -> None:
    (worker,) = [each for each in node.get("/node")["workers"] if each["name"] == "sync"]
    os.kill(worker["pid"], signal.SIGKILL)


def wait_connected_anew(node: Node, other: Node, since: float) -> None:
    def is_connected() -> bool:
        peers = {peer["id"]: peer for peer in other.get("/peers")["peers"]}
        return bool(peers[node.name]["connected"] and peers[node.name]["connected_since"] > since)

    wait(is_connected, f"{node.name} to be connected anew", 15, pause=0.05)
