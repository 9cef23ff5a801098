"""GET /metrics: the metrics of all workers in the text format of Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from falcon.asgi import Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from peatnode.api.findings.replies import NodeReplies
from peatnode.ipc.messages import GetMetrics, Metric, MetricsReply, NodeReply
from peatnode.model.peer_limits import MAX_PRESENCE_BYTES
from workers.broker.feed.event_feed import EventFeed
from workers.broker.http.counters import HttpCounters
from workers.broker.metrics.texts import HELP
from workers.broker.node.readiness import checks
from workers.broker.node.survey import NodeSurvey, probe
from workers.broker.worker_client import WorkerClient
from workers.broker.yjs.presence import Presence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SHARED = frozenset(
    {"peatnode_rejected_input_total", "peatnode_queue_length", "peatnode_queue_capacity"}
)
"""Families with samples from several workers, which the label `worker` separates."""


class MetricsResource:
    """Collects the samples of all workers, of the node and of this process."""

    def __init__(
        self,
        workers: Sequence[WorkerClient],
        survey: NodeSurvey,
        feed: EventFeed,
        presence: Presence,
        counters: HttpCounters,
        stopping: asyncio.Event,
    ) -> None:
        self._workers = workers
        self._survey = survey
        self._feed = feed
        self._presence = presence
        self._counters = counters
        self._stopping = stopping

    async def on_get(self, request: Request, response: Response) -> None:
        asking = asyncio.gather(*(probe(worker, GetMetrics()) for worker in self._workers))
        reports, replies = await self._survey.take(), await asking
        names = [worker.name for worker in self._workers]
        samples = [
            *node_samples(reports, self._stopping.is_set()),
            *feed_samples(self._feed),
            *presence_samples(self._presence),
            *worker_samples(dict(zip(names, replies, strict=True))),
        ]
        registry = CollectorRegistry()
        registry.register(_Gathered(families(samples)))
        response.content_type = CONTENT_TYPE
        counted = generate_latest(self._counters.collectable())
        response.data = counted + generate_latest(registry)

    on_head = on_get


class _Gathered(Collector):
    def __init__(self, found: list[Family]) -> None:
        self._found = found

    def collect(self) -> Iterable[Family]:
        return self._found


def families(samples: Iterable[Metric]) -> list[Family]:
    """Groups samples by name. The suffix of a name determines its type."""
    found: dict[str, Family] = {}
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    for sample in samples:
        key = (sample.name, sample.labels)
        if key in seen:
            continue
        seen.add(key)
        name, kind = _family(sample.name)
        family = found.get(name)
        if family is None:
            shown = f"{name}_total" if kind == "counter" else name
            family = found[name] = Family(name, HELP.get(shown, shown), kind)
        family.add_sample(sample.name, dict(sample.labels), sample.value)
    return list(found.values())


def _family(name: str) -> tuple[str, str]:
    if name.endswith("_total"):
        return name.removesuffix("_total"), "counter"
    for suffix in ("_bucket", "_sum", "_count"):
        if name.endswith(suffix):
            return name.removesuffix(suffix), "histogram"
    return name, "gauge"


def node_samples(reports: NodeReplies, is_stopping: bool) -> Iterator[Metric]:
    found = checks(reports.node, reports.store, is_stopping)
    yield Metric("peatnode_ready", (), float(all(check.is_ready for check in found)))
    for check in found:
        labels = (("check", check.name),)
        yield Metric("peatnode_check_ready", labels, float(check.is_ready))
    if reports.node is not None:
        yield from _supervisor_samples(reports.node)
    for source in () if reports.discovery is None else reports.discovery.sources:
        if source.age_seconds >= 0:
            named = (("source", source.name),)
            yield Metric("peatnode_discovery_source_age_seconds", named, source.age_seconds)


def feed_samples(feed: EventFeed) -> Iterator[Metric]:
    yield Metric("peatnode_http_followers", (), feed.count)
    yield Metric("peatnode_http_followers_max", (), feed.limits.subscribers)
    yield Metric("peatnode_http_follower_queue_bytes", (), float(feed.queued_bytes))
    yield Metric("peatnode_http_follower_queue_max_bytes", (), feed.limits.fanout_bytes)


def presence_samples(presence: Presence) -> Iterator[Metric]:
    yield Metric("peatnode_yjs_presence_bytes", (), float(presence.bytes))
    yield Metric("peatnode_yjs_presence_max_bytes", (), float(MAX_PRESENCE_BYTES))


def _supervisor_samples(node: NodeReply) -> Iterator[Metric]:
    yield Metric("peatnode_up_info", (("version", node.version), ("node_id", node.node_id)), 1.0)
    yield Metric("peatnode_uptime_seconds", (), node.uptime_seconds)
    memory = (("worker", "supervisor"),)
    yield Metric("peatnode_worker_memory_bytes", memory, node.supervisor_memory_bytes)
    for worker in node.workers:
        labels = (("worker", worker.name),)
        yield Metric("peatnode_worker_restarts_total", labels, worker.restarts)
        yield Metric("peatnode_worker_recycles_total", labels, worker.recycles)
        yield Metric("peatnode_worker_memory_bytes", labels, worker.memory_bytes)
        yield Metric("peatnode_worker_loop_stall_seconds", labels, worker.stall_seconds)
    for problem in node.problems:
        named = (("worker", problem.worker), ("name", problem.name))
        yield Metric("peatnode_problem", named, 1.0)


def worker_samples(replies: dict[str, MetricsReply | None]) -> Iterator[Metric]:
    for worker, reply in replies.items():
        yield Metric("peatnode_worker_up", (("worker", worker),), float(reply is not None))
        for metric in () if reply is None else reply.metrics:
            if metric.name in SHARED:
                yield replace(metric, labels=(("worker", worker), *metric.labels))
            else:
                yield metric
