"""docs/metrics.md names what a node with a peer answers at /metrics."""

import re
import urllib.request
from pathlib import Path

from bench.nodes import nodes

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_every_metric_is_documented() -> None:
    documented = set(re.findall(r"`(peatnode_[a-z0-9_]+)`", PAGE.read_text()))
    with (
        nodes(2) as (node, _),
        urllib.request.urlopen(f"http://127.0.0.1:{node.api_port}/metrics", timeout=10) as answer,
    ):
        text = answer.read().decode()
    told = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert {"peatnode_sync_peer_connected", "peatnode_store_commit_duration_seconds"} <= told
    assert told <= documented
