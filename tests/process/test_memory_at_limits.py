"""The largest requests fit a node in the memory that the chart gives it: the sum over its processes, at its peak."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Callable

import pytest

from peatnode.documents.limits import MAX_VALUES
from tests.support.nodes import Node, nodes

pytestmark = pytest.mark.timeout(120)

CHART_LIMIT = 256 * 2**20
MOST = MAX_VALUES - 1000


def peak_bytes(node: Node, run: Callable[[], None]) -> int:
    """The highest sum of proportional memory while `run` runs."""
    peak = node.memory_bytes()["all"]
    worker = threading.Thread(target=run)
    worker.start()
    while worker.is_alive():
        peak = max(peak, node.memory_bytes()["all"])
        worker.join(0.01)
    return peak


def send(node: Node, method: str, path: str, body: bytes | None, kind: str) -> int:
    asked = urllib.request.Request(node.url + path, body, method=method)
    asked.add_header("content-type", kind)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        while answer.read(65536):
            pass
        return int(answer.status)


def test_the_largest_requests_fit_the_limit_of_the_chart() -> None:
    numbers = list(range(MOST))
    changed = [*numbers]
    changed[MOST // 2] = -1
    middle = [-n if MOST // 3 < n < MOST // 2 and n % 2 else n for n in numbers]
    lines = (json.dumps({"_id": f"{n}", "x": os.urandom(500_000).hex()}) for n in range(12))
    document, ndjson = "application/json", "application/x-ndjson"
    requests = [
        ("PUT", "/documents/c/n", json.dumps({"a": numbers}).encode(), document),
        ("PUT", "/documents/c/n", json.dumps({"a": changed}).encode(), document),
        ("PUT", "/documents/c/n", json.dumps({"a": middle}).encode(), document),
        ("PUT", "/documents/c/t", b'{"x":"%s"}' % os.urandom(520_000).hex().encode(), document),
        ("POST", "/documents/b?bulk", "\n".join(lines).encode(), ndjson),
        ("GET", "/documents/b?limit=1000", None, document),
        ("GET", "/documents/b?format=ndjson", None, document),
    ]
    with nodes(1) as (node,):
        for method, path, body, kind in requests:
            peak = peak_bytes(node, lambda: statuses.append(send(node, method, path, body, kind)))  # noqa: B023
            assert statuses.pop() in (200, 201)
            assert peak < CHART_LIMIT, (method, path, peak // 2**20)


statuses: list[int] = []
