"""A node joins another one over QUIC, and says all the while how far it is."""

from __future__ import annotations

import json
import re
import urllib.request
from typing import Any

import pytest

from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

pytestmark = pytest.mark.timeout(120)

MANY = 20_000


def fill(node: Node) -> None:
    lines = b"".join(
        json.dumps({"_id": f"d{number:05}", "n": number, "text": "x" * 40}).encode() + b"\n"
        for number in range(MANY)
    )
    request = urllib.request.Request(
        f"{node.url}/documents/notes?bulk", lines, {"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
    assert node.get("/node")["store"]["documents"] == MANY


def test_a_node_that_joins_says_how_far_it_is() -> None:
    with nodes(2, start=False) as (first, second):
        first.start()
        fill(first)
        second.start()
        said: list[dict[str, Any]] = []

        def is_joined() -> bool:
            said.append(second.get("/peers"))
            return bool(said[-1]["documents"] == MANY and said[-1]["peers"][0]["in_sync"])

        wait(is_joined, "the node to join", 90, pause=0.02)
        check(said)
        wait(lambda: first.get("/peers")["peers"][0]["in_sync"], "the first to see it", 10)
        (peer,) = first.get("/peers")["peers"]
        assert (peer["documents"], peer["behind_documents"], peer["reason"]) == (MANY, 0, "")
        metrics = (
            urllib.request.urlopen(f"http://127.0.0.1:{first.api_port}/metrics", timeout=10)
            .read()
            .decode()
        )
        assert f'peatnode_sync_peer_documents{{peer="{second.name}"}} {MANY}' in metrics


def check(said: list[dict[str, Any]]) -> None:
    """What a peer of the node would have been told, at each moment."""
    compared = [
        one for one in said if one["peers"] and one["peers"][0]["behind_documents"] is not None
    ]
    counts = [one["documents"] for one in compared]
    assert counts == sorted(counts)
    joining = [one for one in compared if 0 < one["documents"] < MANY]
    assert len(joining) >= 5, "the join was not seen"
    for one in joining:
        (peer,) = one["peers"]
        assert not peer["in_sync"]
        assert peer["documents"] == MANY
        assert peer["behind_documents"] == MANY - one["documents"]
        progress = re.fullmatch(
            r"fetching: ([\d,]+) of 20,000 documents, ([\d,]+)/s(, about .+ left)?", peer["reason"]
        )
        assert progress, peer["reason"]
        assert int(progress[1].replace(",", "")) == one["documents"]
    rates = [one["peers"][0]["documents_per_second"] for one in joining]
    assert max(rates) > 0
    for one in joining[len(joining) // 2 :]:
        (peer,) = one["peers"]
        left, rate = peer["seconds_left"], peer["documents_per_second"]
        assert left == pytest.approx(peer["behind_documents"] / rate, rel=0.02, abs=0.2)
