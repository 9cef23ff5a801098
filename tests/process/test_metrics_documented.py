"""docs/metrics.md names what a node with a peer answers at /metrics."""

import re
import urllib.request
from pathlib import Path

from tests.support.nodes import nodes
from workers.broker.metrics.texts import HELP

HELP_LINE = re.compile(r"^# HELP (\S+) (.*)$", re.MULTILINE)
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_documented_metric_has_a_text() -> None:
    documented = set(re.findall(r"`(peatnode_[a-z0-9_]+)`", PAGE.read_text()))
    of_requests = {
        "peatnode_http_requests_total",
        "peatnode_http_request_duration_seconds",
        "peatnode_http_rejected_total",
        "peatnode_yjs_presence_dropped_total",
    }
    assert documented == HELP.keys() | of_requests


def test_every_metric_of_a_worker_has_a_text() -> None:
    """Also those that a node reports only after some events."""
    workers = PAGE.parents[1] / "workers"
    sources = [
        path for path in workers.rglob("*.py") if "broker" not in path.relative_to(workers).parts
    ]
    named = {
        name for path in sources for name in re.findall(r'"(peatnode_[a-z_]+)"', path.read_text())
    }
    assert "peatnode_sync_peer_connected" in named
    assert named <= HELP.keys()


def test_every_metric_is_documented() -> None:
    documented = set(re.findall(r"`(peatnode_[a-z0-9_]+)`", PAGE.read_text()))
    with (
        nodes(2) as (node, _),
        urllib.request.urlopen(f"http://127.0.0.1:{node.api_port}/metrics", timeout=10) as answer,
    ):
        text = answer.read().decode()
    reported = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert {name for name, help_text in HELP_LINE.findall(text) if help_text in name} == set()
    assert {"peatnode_sync_peer_connected", "peatnode_store_commit_duration_seconds"} <= reported
    assert reported <= documented
