"""A node that can serve is ready, whatever it cannot find at its start, and says so from the first second."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kubernetes_api.account import make_account, make_server_tls
from tests.support.nodes import Node, nodes
from tests.support.processes import free_port
from tests.support.waiting import wait

WAYS = ["static", "kubernetes", "mdns"]

SAID = {
    "static": "no-such.invalid (",
    "kubernetes": "cannot be reached: ",
    "mdns": "none of its interfaces exists",
}


def settings_of(way: str, directory: Path) -> dict[str, str]:
    """Settings with which this source cannot find anything."""
    match way:
        case "static":
            return {"PEAT_DISCOVERY": "static", "PEAT_STATIC_PEERS": "no-such.invalid:11204"}
        case "mdns":
            return {"PEAT_DISCOVERY": "mdns", "PEAT_MDNS_INTERFACES": "203.0.113.7"}
        case _:
            make_server_tls(directory)
            account = make_account(directory, free_port(socket.SOCK_STREAM))
            return {
                **account,
                "PEAT_DISCOVERY": "kubernetes",
            }


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Node]]:
    with nodes(len(WAYS), start=False) as started:
        for way, node in zip(WAYS, started, strict=True):
            node.settings.update(settings_of(way, tmp_path_factory.mktemp(way)))
            node.launch()
        yield dict(zip(WAYS, started, strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_a_node_that_finds_nobody_is_ready_and_says_since_when_and_why(
    cut_off: dict[str, Node], way: str
) -> None:
    node = cut_off[way]
    wait(node.is_ready, "the node to be ready")
    wait(lambda: findings(node), "the finding")
    (finding,) = findings(node)
    assert finding["severity"] == "degraded"
    assert finding["message"].startswith(f"{way} finds no peers since ")
    assert SAID[way] in finding["message"]
    assert finding["advice"]
    assert write(node) in (200, 201)


def findings(node: Node) -> list[dict[str, str]]:
    found = node.get("/ready")["findings"]
    return [one for one in found if one["where"] == "discovery" and one["severity"] != "notice"]


def write(node: Node) -> int:
    request = urllib.request.Request(
        f"{node.url}/documents/c/a", json.dumps({"a": 1}).encode(), method="PUT"
    )
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(answer.status)
