"""The largest requests fit a node in the memory that the chart gives it: the sum over its processes, at its peak."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Callable

import pytest

from peatnode.documents.limits import MAX_PATCH_OPERATIONS, MAX_VALUES
from tests.support.nodes import Node, nodes

pytestmark = pytest.mark.timeout(120)

CHART_LIMIT = 256 * 2**20
MOST = MAX_VALUES - 1000
JSON = "application/json"


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


Request = tuple[str, str, bytes | None, str]
"""Method, path, body and content type."""


def check_peaks(requests: list[Request]) -> None:
    """Sends the requests to a node of their own, one after the other."""
    statuses: list[int] = []
    with nodes(1) as (node,):
        for method, path, body, kind in requests:
            peak = peak_bytes(node, lambda: statuses.append(send(node, method, path, body, kind)))  # noqa: B023
            assert statuses.pop() in (200, 201)
            assert peak < CHART_LIMIT, (method, path, peak // 2**20)


def test_large_arrays_and_texts() -> None:
    numbers = list(range(MOST))
    changed = [*numbers]
    changed[MOST // 2] = -1
    middle = [-n if MOST // 3 < n < MOST // 2 and n % 2 else n for n in numbers]
    check_peaks(
        [
            ("PUT", "/documents/c/n", json.dumps({"a": numbers}).encode(), JSON),
            ("PUT", "/documents/c/n", json.dumps({"a": changed}).encode(), JSON),
            ("PUT", "/documents/c/n", json.dumps({"a": middle}).encode(), JSON),
            ("PUT", "/documents/c/t", b'{"x":"%s"}' % os.urandom(520_000).hex().encode(), JSON),
        ]
    )


def test_arrays_of_many_objects() -> None:
    objects = [{"x": n} for n in range(MOST // 2 - 100)]
    others = [{"x": -n} for n in range(MOST // 2 - 100)]
    check_peaks(
        [
            ("PUT", "/documents/c/o", json.dumps({"a": objects}).encode(), JSON),
            ("PUT", "/documents/c/o", json.dumps({"a": others}).encode(), JSON),
        ]
    )


@pytest.mark.parametrize("kind", ["merge", "json"])
def test_patches_of_many_members(kind: str) -> None:
    keys = {f"k{n}": n for n in range(MOST)}
    operations = [
        {"op": "replace", "path": f"/k{n}", "value": -n} for n in range(MAX_PATCH_OPERATIONS)
    ]
    patch: object = {k: -n for k, n in keys.items()} if kind == "merge" else operations
    content_type = (
        "application/merge-patch+json" if kind == "merge" else "application/json-patch+json"
    )
    check_peaks(
        [
            ("PUT", "/documents/c/k", json.dumps(keys).encode(), JSON),
            ("PATCH", "/documents/c/k", json.dumps(patch).encode(), content_type),
        ]
    )


def test_bulk_lines_and_listings() -> None:
    lines = (json.dumps({"_id": f"{n}", "x": os.urandom(500_000).hex()}) for n in range(12))
    check_peaks(
        [
            ("POST", "/documents/b?bulk", "\n".join(lines).encode(), "application/x-ndjson"),
            ("GET", "/documents/b?limit=1000", None, JSON),
            ("GET", "/documents/b?format=ndjson", None, JSON),
        ]
    )
