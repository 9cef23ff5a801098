"""Makes the report on a remote node from its API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from peatnode.cli.status.report import NoAnswer, StatusReport
from peatnode.cli.target import RemoteNode
from peatnode.client.errors import Unavailable, UnexpectedAnswer, UnknownOutcome, Unreachable
from peatnode.client.models import Node, NodeProblem, Peers, Readiness
from peatnode.client.retry import RetryPolicy

T = TypeVar("T")

ANSWER_SECONDS = 5.0


def inspect_api(target: RemoteNode) -> StatusReport:
    """Raises ClientError if the node refuses the token. The report of an unreachable node is empty."""
    from peatnode.client._sync.client import Client

    now = time.time()
    with Client(target.url, target.token, ANSWER_SECONDS, RetryPolicy(attempts=1)) as client:
        try:
            node = _asked("supervisor", client.node)
            readiness = _asked("broker", client.readiness)
            peers = _asked("sync", client.peers)
        except Unreachable as error:
            return StatusReport(now, unanswered=(NoAnswer(target.url, str(error)),))
    return report_of(node, readiness, peers, now)


def _asked(part: str, ask: Callable[[], T]) -> T | NoAnswer:
    try:
        return ask()
    except (UnknownOutcome, Unavailable, UnexpectedAnswer) as error:
        return NoAnswer(part, str(error))


def report_of(
    node: Node | NoAnswer,
    readiness: Readiness | NoAnswer,
    peers: Peers | NoAnswer,
    now: float,
) -> StatusReport:
    known = None if isinstance(node, NoAnswer) else node
    failed = () if isinstance(readiness, NoAnswer) else _failed_checks(readiness, node)
    return StatusReport(
        taken_at=now,
        node=known,
        workers=None if known is None else known.workers,
        peers=None if isinstance(peers, NoAnswer) else peers.peers,
        differing=() if isinstance(peers, NoAnswer) else peers.differing,
        store=None if known is None else known.store,
        sources=None if known is None else known.sources,
        problems=(() if known is None else known.problems) + failed,
        unanswered=tuple(part for part in (node, readiness, peers) if isinstance(part, NoAnswer)),
    )


def _failed_checks(readiness: Readiness, node: Node | NoAnswer) -> tuple[NodeProblem, ...]:
    """The failed checks that no other part of the report shows."""
    known = set[str]()
    if not isinstance(node, NoAnswer):
        known = {"running", "workers"} | {f"{p.worker}.{p.name}" for p in node.problems}
        if node.store is not None:
            known.add("store")
        if node.sources is not None:
            known.add("discovery")
    return tuple(
        NodeProblem(check.name, "check", f"Not ready: {check.message or check.name}.", "", True, 0)
        for check in readiness.checks
        if not check.is_ready and check.name not in known
    )
