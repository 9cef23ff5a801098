"""Real nodes that write alike while they cannot hear each other, and the examples of docs/conflicts.md."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peatnode.client import Client
from tests.support.nodes import Node, nodes
from tests.support.processes import free_port
from tests.support.waiting import wait

PAGE = Path(__file__).parents[2] / "docs" / "conflicts.md"
COLLECTION = "seeds"
SEEDS = {f"seed-{number}": {"n": number, "tags": ["red", "green"]} for number in range(20)}
JSON, NDJSON, JSON_PATCH = "application/json", "application/x-ndjson", "application/json-patch+json"


@pytest.fixture
def pair() -> Iterator[list[Node]]:
    """Two nodes that hear each other only `together`."""
    with nodes(2, start=False) as made:
        apart(made)
        yield made


def apart(pair: list[Node]) -> None:
    """Starts both without an address of the other, at ports where the other does not look for it."""
    for node in pair:
        node.stop()
    for node in pair:
        node.peers = []
        node.quic_port = free_port(socket.SOCK_DGRAM)
        node.start()


def together(pair: list[Node]) -> None:
    for node, other in (pair, pair[::-1]):
        node.stop()
        node.peers = [other.quic_port]
        node.start()
    wait(lambda: pair[0].root() == pair[1].root(), "the two to agree", 30)


def send(node: Node, method: str, path: str, body: object, kind: str = JSON) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{node.url}/documents/{COLLECTION}{path}", data, {"Content-Type": kind}, method=method
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()


def values(node: Node) -> dict[str, Any]:
    with Client(node.url.removesuffix("/api/v1")) as client:
        return {document.id: document.value for document in client.documents(COLLECTION)}


def test_what_is_written_on_both_sides_of_a_cut_is_there_once(pair: list[Node]) -> None:
    """Seeds by PUT, by bulk and by POST; then replacements, moves, deletions, appends and retries."""
    lines = b"".join(
        json.dumps({"_id": f"bulk {n}", **v}).encode() + b"\n" for n, v in SEEDS.items()
    )
    for node in pair:
        for name, seed in SEEDS.items():
            send(node, "PUT", f"/{name}", seed)
        send(node, "POST", "?bulk", lines, NDJSON)
        send(node, "POST", "", {"_id": "posted", "tags": ["red", "green"]})
        send(node, "PUT", "/with-expiry?ttl=3600", {"tags": ["red", "green"]})
    together(pair)
    expected = {**SEEDS, **{f"bulk {name}": seed for name, seed in SEEDS.items()}}
    expected |= {"posted": {"tags": ["red", "green"]}, "with-expiry": {"tags": ["red", "green"]}}
    assert values(pair[0]) == values(pair[1]) == expected
    apart(pair)
    move = [{"op": "move", "from": "/tags/0", "path": "/tags/1"}]
    for node in pair:
        send(node, "PUT", "/seed-0", {"n": 0, "tags": ["blue", "white"]})
        send(node, "PATCH", "/seed-1", {"tags": ["blue", "white"]})
        send(node, "PATCH", "/seed-2", move, JSON_PATCH)
        send(node, "DELETE", "/seed-3", b"")
        send(node, "PUT", "/seed-3", {"tags": ["again"]})
        # a retry on another node, where the first node was cut off before it could answer or tell
        retried = [{"op": "add", "path": "/tags/-", "value": "blue"}]
        send(node, "PATCH", "/seed-5", retried, JSON_PATCH)
    send(pair[0], "PATCH", "/seed-4", [{"op": "add", "path": "/tags/-", "value": "a"}], JSON_PATCH)
    send(pair[1], "PATCH", "/seed-4", [{"op": "add", "path": "/tags/-", "value": "b"}], JSON_PATCH)
    together(pair)
    found = values(pair[0])
    assert found == values(pair[1])
    assert [found[f"seed-{number}"]["tags"] for number in range(4)] == [
        ["blue", "white"],
        ["blue", "white"],
        ["green", "red"],
        ["again"],
    ]
    assert found["seed-5"]["tags"] == ["red", "green", "blue"]
    assert sorted(found["seed-4"]["tags"]) == ["a", "b", "green", "red"]


# --- the examples of docs/conflicts.md


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


@pytest.fixture
def node() -> Iterator[Node]:
    with nodes(1) as made:
        yield made[0]


def test_the_examples_with_conditions(node: Node) -> None:
    url = node.url.removesuffix("/api/v1")
    script = example("bash")
    assert "http://127.0.0.1:8081" in script
    script = script.replace("http://127.0.0.1:8081", url)
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True)
    assert (ran.stdout.split(), ran.stderr) == (["201", "200", "412"], "")
    names: dict[str, Any] = {}
    exec(example("python"), names)
    left: list[int] = []

    def take() -> None:
        with Client(url) as client:
            left.extend(names["take_one"](client) for _ in range(2))

    takers = [threading.Thread(target=take) for _ in range(3)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(left) == list(range(6))
