"""Makes the report on a remote node from its API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from peatnode.cli.status.report import Silent, StatusReport
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
            return StatusReport(now, silent=(Silent(target.url, str(error)),))
    return report_of(node, readiness, peers, now)


def _asked(part: str, ask: Callable[[], T]) -> T | Silent:
    try:
        return ask()
    except (UnknownOutcome, Unavailable, UnexpectedAnswer) as error:
        return Silent(part, str(error))


def report_of(
    node: Node | Silent,
    readiness: Readiness | Silent,
    peers: Peers | Silent,
    now: float,
) -> StatusReport:
    known = None if isinstance(node, Silent) else node
    failed = () if isinstance(readiness, Silent) else _failed_checks(readiness, node)
    return StatusReport(
        taken_at=now,
        node=known,
        workers=None if known is None else known.workers,
        peers=None if isinstance(peers, Silent) else peers.peers,
        differing=() if isinstance(peers, Silent) else peers.differing,
        store=None if known is None else known.store,
        sources=None if known is None else known.sources,
        problems=(() if known is None else known.problems) + failed,
        silent=tuple(part for part in (node, readiness, peers) if isinstance(part, Silent)),
    )


def _failed_checks(readiness: Readiness, node: Node | Silent) -> tuple[NodeProblem, ...]:
    """The failed checks that no other part of the report shows."""
    known = set[str]()
    if not isinstance(node, Silent):
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
