"""GET /metrics: the figures of all workers in Prometheus' text format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace

from falcon.asgi import Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from peatnode.ipc.messages import GetMetrics, Metric, MetricsReply, NodeReply
from workers.broker.metrics.texts import HELP
from workers.broker.node.readiness import checks
from workers.broker.node.resources import Survey, probe, survey
from workers.broker.services import BrokerServices

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SHARED = frozenset(
    {"peatnode_rejected_input_total", "peatnode_queue_length", "peatnode_queue_capacity"}
)
"""Families that several workers have samples of; a label tells whose."""


class MetricsResource:
    def __init__(self, broker: BrokerServices) -> None:
        self._broker = broker

    async def on_get(self, request: Request, response: Response) -> None:
        broker = self._broker
        upstreams = (broker.store, broker.engine, broker.sync, broker.discovery)
        asking = asyncio.gather(*(probe(upstream, GetMetrics()) for upstream in upstreams))
        seen, replies = await survey(broker), await asking
        names = [upstream.name for upstream in upstreams]
        samples = [
            *node_samples(seen, broker),
            *worker_samples(dict(zip(names, replies, strict=True))),
        ]
        registry = CollectorRegistry()
        registry.register(_Gathered(families(samples)))
        response.content_type = CONTENT_TYPE
        response.data = generate_latest(broker.counters.collectable()) + generate_latest(registry)

    on_head = on_get


class _Gathered(Collector):
    def __init__(self, found: list[Family]) -> None:
        self._found = found

    def collect(self) -> Iterable[Family]:
        return self._found


def families(samples: Iterable[Metric]) -> list[Family]:
    """Samples of one name together, with the type that the name's ending tells."""
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


def node_samples(seen: Survey, broker: BrokerServices) -> Iterator[Metric]:
    found = checks(seen.node, seen.store, seen.peers, seen.discovery, broker.stopping.is_set())
    yield Metric("peatnode_ready", (), float(all(check.is_ready for check in found)))
    for check in found:
        labels = (("check", check.name),)
        yield Metric("peatnode_check_ready", labels, float(check.is_ready))
    if seen.node is not None:
        yield from _supervisor_samples(seen.node)
    for source in () if seen.discovery is None else seen.discovery.sources:
        if source.age_seconds >= 0:
            named = (("source", source.name),)
            yield Metric("peatnode_discovery_source_age_seconds", named, source.age_seconds)
    fanouts = (broker.changes, broker.values)
    yield Metric("peatnode_http_followers", (), broker.topology.count)
    yield Metric("peatnode_http_followers_max", (), broker.limits.subscribers)
    queued = float(sum(fanout.queued_bytes for fanout in fanouts))
    yield Metric("peatnode_http_follower_queue_bytes", (), queued)
    yield Metric("peatnode_http_follower_queue_max_bytes", (), broker.limits.fanout_bytes)


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
