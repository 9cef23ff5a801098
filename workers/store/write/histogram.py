"""Prometheus histograms, as samples for `MetricsReply`. No I/O."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from peatnode.ipc.messages import Metric


class Histogram:
    """Counts values by upper bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def samples(self, name: str) -> Iterator[Metric]:
        """The samples of the metric `name`. As in Prometheus, buckets are cumulative."""
        total = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            yield Metric(f"{name}_bucket", (("le", bound),), total)
        yield Metric(f"{name}_sum", (), self._sum)
        yield Metric(f"{name}_count", (), total)
