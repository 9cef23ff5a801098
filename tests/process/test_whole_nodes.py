"""Whole nodes, as `peatnode run` starts them: real processes, sockets, signals and disks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from peatnode.supervision.workers import WORKERS
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait


def send(node: Node, method: str, path: str, body: object = None, seconds: float = 20) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        node.url + path, data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=seconds) as answer:
        return json.load(answer)


def document(node: Node, path: str) -> dict | None:
    try:
        return send(node, "GET", f"/documents/{path}")["document"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def worker_pid(node: Node, name: str) -> int:
    return next(worker["pid"] for worker in node.get("/node")["workers"] if worker["name"] == name)


def all_agree(running: list[Node]) -> bool:
    return len({node.root() for node in running}) == 1


@pytest.fixture(scope="module")
def three() -> Iterator[list[Node]]:
    with nodes(3) as running:
        yield running


def test_a_write_on_one_is_read_on_all(three: list[Node]) -> None:
    send(
        three[0], "PUT", "/documents/notes/hello", {"text": "grüß dich", "tags": ["a", "b"], "n": 7}
    )
    for node in three:
        wait(
            lambda node=node: document(node, "notes/hello") is not None,
            f"{node.name} to have it",
            10,
        )
        assert document(node, "notes/hello") == {"text": "grüß dich", "tags": ["a", "b"], "n": 7}


def test_what_two_write_apart_is_merged(three: list[Node]) -> None:
    send(three[0], "PUT", "/documents/notes/merged", {"a": {"x": 1}, "list": [1]})
    wait(lambda: all_agree(three), "the three to agree", 10)
    send(three[0], "PATCH", "/documents/notes/merged", {"a": {"y": 2}})
    send(three[1], "PATCH", "/documents/notes/merged", {"a": {"z": 3}})
    wait(lambda: all_agree(three), "the three to agree", 10)
    for node in three:
        assert document(node, "notes/merged") == {"a": {"x": 1, "y": 2, "z": 3}, "list": [1]}


def test_what_is_deleted_stays_deleted_and_can_be_made_anew(three: list[Node]) -> None:
    send(three[0], "PUT", "/documents/notes/gone", {"old": True})
    wait(lambda: all_agree(three), "the three to agree", 10)
    send(three[2], "DELETE", "/documents/notes/gone")
    for node in three:
        wait(
            lambda node=node: document(node, "notes/gone") is None, f"{node.name} to forget it", 10
        )
    send(three[1], "PUT", "/documents/notes/gone", {"new": True})
    wait(lambda: all_agree(three), "the three to agree", 10)
    assert [document(node, "notes/gone") for node in three] == [{"new": True}] * 3


def test_every_write_says_its_place_in_the_feed(three: list[Node]) -> None:
    first = send(three[0], "PUT", "/documents/notes/place", {"a": 1})["sequence"]
    second = send(three[0], "PUT", "/documents/notes/place", {"a": 2})["sequence"]
    deleted = send(three[0], "DELETE", "/documents/notes/place")["sequence"]
    assert 0 < first < second < deleted


def test_replicas_are_waited_for(three: list[Node]) -> None:
    answer = send(three[0], "PUT", "/documents/notes/kept?replicas=2&timeout=10", {"a": 1})
    assert answer["replicas"]["have"] == 2
    answer = send(three[0], "PUT", "/documents/notes/kept?replicas=5&timeout=0.2", {"a": 2})
    assert (answer["replicas"]["wanted"], answer["replicas"]["have"]) == (5, 2)


@pytest.mark.parametrize("worker", [spec.name for spec in WORKERS])
def test_killing_a_worker_under_load_loses_nothing(three: list[Node], worker: str) -> None:
    """Every acknowledged write is on every node afterwards; a write takes a few seconds at most."""
    target = three[0]
    acknowledged: dict[str, int] = {}
    is_over = threading.Event()
    longest = 0.0

    def write(thread: int) -> None:
        nonlocal longest
        number = 0
        while not is_over.is_set():
            key = f"{worker}-{thread}-{number % 20}"
            started = time.monotonic()
            with contextlib.suppress(OSError):  # refused or unknown: then it was not acknowledged
                send(target, "PUT", f"/documents/killed/{key}", {"number": number})
                acknowledged[key] = number
                longest = max(longest, time.monotonic() - started)
            number += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait(lambda: len(acknowledged) >= 40, "writes to flow")
        pid = worker_pid(target, worker)
        os.kill(pid, signal.SIGKILL)
        count = len(acknowledged) and sum(acknowledged.values())
        wait(lambda: sum(acknowledged.values()) > count + 100, "writes to flow again", 20)
        wait(lambda: worker_pid(target, worker) not in (0, pid), "the worker to be back", 20)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert longest < 5, f"a write took {longest:.1f} s"
    wait(lambda: all_agree(three), "the three to agree", 30)
    for node in three:
        for key, number in acknowledged.items():
            found = document(node, f"killed/{key}")
            assert found is not None, f"{node.name} has lost {key}"
            assert found["number"] >= number, f"{node.name} has an old {key}"


def test_a_node_that_was_killed_comes_back_and_catches_up() -> None:
    with nodes(3) as running:
        send(running[2], "PUT", "/documents/notes/before", {"a": 1})
        wait(lambda: all_agree(running), "the three to agree", 10)
        running[2].kill()
        for number in range(50):
            send(running[number % 2], "PUT", f"/documents/notes/{number}", {"number": number})
        running[2].start()
        assert document(running[2], "notes/before") == {"a": 1}
        wait(lambda: all_agree(running), "the three to agree", 30)
        assert document(running[2], "notes/49") == {"number": 49}


def test_nodes_in_a_chain_converge_through_the_middle() -> None:
    with nodes(3, start=False) as (first, middle, last):
        first.peers, middle.peers, last.peers = [middle.quic_port], [], [middle.quic_port]
        for node in (middle, first, last):
            node.start()
        wait(lambda: middle.is_connected(2), "the middle to have both")
        send(first, "PUT", "/documents/notes/chain", {"from": "first"})
        wait(
            lambda: document(last, "notes/chain") == {"from": "first"}, "it to pass the middle", 10
        )
        wait(lambda: all_agree([first, middle, last]), "the three to agree", 10)


def test_another_secret_gets_nothing() -> None:
    with nodes(2, start=False) as (member, stranger):
        stranger.settings["PEAT_FORMATION_SECRET"] = "OyprrkzE4vjUWL0cQ1h6jpnfMt0TWL5p3pQ1gNrLQys="
        member.start()
        stranger.start()
        send(member, "PUT", "/documents/notes/secret", {"a": 1})
        wait(
            lambda: (
                "refused" in json.dumps(member.get("/peers"))
                or "secret" in json.dumps(stranger.get("/peers"))
            ),
            "the two to have met",
        )
        assert not stranger.is_connected(1)
        assert not member.is_connected(1)
        assert document(stranger, "notes/secret") is None


def test_twins_are_reported_and_still_sync() -> None:
    with nodes(2, start=False) as (one, other):
        other.settings["HOSTNAME"] = one.name
        one.start()
        other.start()
        wait(lambda: one.is_connected(1), "the twins to meet")
        send(one, "PUT", "/documents/notes/twin", {"a": 1})
        wait(lambda: document(other, "notes/twin") == {"a": 1}, "the twin to have it", 10)
        wait(
            lambda: any(peer["twin"] for peer in one.get("/peers")["peers"]),
            "the twin to be reported",
            10,
        )


def test_a_node_that_was_killed_and_is_back_is_one_peer_and_no_twin() -> None:
    with nodes(2) as (survivor, killed):
        (before,) = survivor.get("/peers")["peers"]
        killed.kill()
        killed.launch()
        seen = []

        def has_lost_the_dead_connection() -> bool:
            seen.append([peer for peer in survivor.get("/peers")["peers"] if peer["connected"]])
            assert len(seen[-1]) <= 1
            assert not any(peer["twin"] for peer in seen[-1])
            return "Idle timeout" in survivor.log()

        wait(has_lost_the_dead_connection, "the dead connection to end", 15, pause=0.05)
        (now,) = seen[-1]
        assert now["instance"] != before["instance"]
        assert any(peer["in_sync"] for peers in seen for peer in peers)


def test_a_stop_is_orderly_and_quick() -> None:
    with nodes(2) as (first, second):
        send(first, "PUT", "/documents/notes/stop", {"a": 1})
        assert first.process is not None
        started = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(15) == 0
        assert time.monotonic() - started < 10
        wait(lambda: not second.is_connected(1), "the goodbye to arrive", 3)


def test_no_orphans_after_the_supervisor_is_killed() -> None:
    with nodes(1) as (node,):
        pids = node.pids()
        assert len(pids) >= 6
        node.kill()
        wait(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids),
            "everybody to be gone",
            5,
        )


def test_mdns_finds_nodes_on_one_host() -> None:
    with nodes(2, start=False) as pair:
        for node in pair:
            node.settings |= {
                "PEAT_DISCOVERY": "mdns",
                "PEAT_STATIC_PEERS": "",
                "PEAT_MDNS_INTERFACES": "127.0.0.1",
            }
            node.start()
        wait(lambda: all(node.is_connected(1) for node in pair), "the two to find each other", 30)


def test_the_identity_survives_and_the_documents_too() -> None:
    with nodes(1) as (node,):
        send(node, "PUT", "/documents/notes/kept", {"a": [1, 2, {"b": None}]})
        before = node.get("/node")
        node.stop()
        node.start()
        after = node.get("/node")
        assert (after["device_id"], after["store"]["root"]) == (
            before["device_id"],
            before["store"]["root"],
        )
        assert after["instance"] != before["instance"]
        assert document(node, "notes/kept") == {"a": [1, 2, {"b": None}]}
