"""`peatnode` beside a real node and from afar says the same. The API asks for a token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.nodes import Node, nodes

TOKEN = "a-token-of-these-tests"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """Connected to a peer; it also looks for one by a name that nobody has."""
    with nodes(2, start=False) as (first, second):
        first.settings["PEAT_STATIC_PEERS"] = f"127.0.0.1:{second.quic_port},no-such.invalid:11204"
        first.settings["PEAT_API_TOKEN"] = TOKEN
        for one in (first, second):
            one.launch()
        wait_for(first, lambda content: content["peers"] and content["peers"][0]["in_sync"])
        wait_for(first, lambda content: content["discovery"][0]["state"] == "failing")
        yield first


def peatnode(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PEAT_")}
    return subprocess.run(
        [sys.executable, "-m", "peatnode.cli", *args],
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def beside(node: Node, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return peatnode(*args, "--data-dir", str(node.directory), **env)


def afar(node: Node, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{node.api_port}"
    return peatnode(*args, "--url", url, **{"PEAT_API_TOKEN": TOKEN, **env})


def wait_for(node: Node, is_so: Any) -> None:
    end = time.monotonic() + 60
    while True:
        done = beside(node, "status", "-o", "json")
        try:
            if is_so(json.loads(done.stdout)):
                return
        except (ValueError, TypeError):
            pass  # it does not run yet, or that part of it does not answer
        assert time.monotonic() < end, (done.stdout, done.stderr, node.log())


PASSING = {"taken_at", "uptime_secs", "stall_secs", "memory_bytes", "supervisor_memory_bytes"}
PASSING |= {"age_secs", "rtt_ms", "disk_bytes", "disk_free_bytes"}
"""What is another number each time that one looks."""


def lasting(content: Any) -> Any:
    """The types only of what passes."""
    if isinstance(content, dict):
        return {
            name: isinstance(value, (int, float)) if name in PASSING else lasting(value)
            for name, value in content.items()
        }
    return [lasting(item) for item in content] if isinstance(content, list) else content


def test_the_same_status(node: Node) -> None:
    here, there = beside(node, "status", "-o", "json"), afar(node, "status", "-o", "json")
    assert here.returncode == there.returncode == 3  # a name cannot be resolved
    assert lasting(json.loads(here.stdout)) == lasting(json.loads(there.stdout))
    content = json.loads(there.stdout)
    assert [(one["name"], one["state"]) for one in content["discovery"]] == [("static", "failing")]
    assert "no-such.invalid" in content["discovery"][0]["message"]
    assert [peer["connected"] for peer in content["peers"]] == [True]


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_same_page(node: Node, columns: str) -> None:
    pages = [
        [line.split()[:2] for line in way(node, "status", COLUMNS=columns).stdout.splitlines()]
        for way in (beside, afar)
    ]
    assert pages[0] == pages[1]
    assert ["DISCOVERY", "state"] in pages[0]
