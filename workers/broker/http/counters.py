"""Counters of HTTP requests. Several serving processes share them through files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from peatnode.errors import DISK_ERRORS

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})

SHARED_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def share_counters(directory: Path) -> None:
    """Keeps counters in files of `directory`, which all serving processes read; where the disk takes no files, in the
    system's temporary directory.

    Call it before prometheus_client is imported.
    """
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        for left_over in directory.glob("*.db"):
            left_over.unlink()
        (directory / "probe").touch()
        (directory / "probe").unlink()
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        directory = Path(tempfile.mkdtemp(prefix="peatnode-metrics-"))
    os.environ[SHARED_VARIABLE] = str(directory)


class HttpCounters:
    """Counts requests by method, route and status."""

    def __init__(self) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Histogram,
            disable_created_metrics,
        )

        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry: CollectorRegistry = CollectorRegistry()
        self._requests: Counter = Counter(
            "peatnode_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds: Histogram = Histogram(
            "peatnode_http_request_duration_seconds",
            "Time from the headers of a request to the end of its response, without streams.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._rejected: Counter = Counter(
            "peatnode_http_rejected",
            "Requests that were refused before they reached a route, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self._dropped: Counter = Counter(
            "peatnode_yjs_presence_dropped",
            "Awareness states, or messages of them, that were dropped, by reason.",
            ("reason",),
            registry=self.registry,
        )
        self._known: dict[tuple[str, str, int], Counter] = {}
        self._timed: dict[tuple[str, str], Histogram] = {}

    def count(self, method: str, route: str, status: int) -> None:
        key = (method, route, status)
        child = self._known.get(key)
        if child is None:
            name = method if method in METHODS else "other"
            child = self._known[key] = self._requests.labels(name, route, str(status))
        child.inc()

    def observe(self, method: str, route: str, seconds: float) -> None:
        child = self._timed.get((method, route))
        if child is None:
            name = method if method in METHODS else "other"
            child = self._timed[method, route] = self._seconds.labels(name, route)
        child.observe(seconds)

    def reject(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def drop_presence(self, reason: str) -> None:
        self._dropped.labels(reason).inc()

    def collectable(self) -> CollectorRegistry:
        """The registry for /metrics: of this process, or of all serving processes."""
        if SHARED_VARIABLE not in os.environ:
            return self.registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry
