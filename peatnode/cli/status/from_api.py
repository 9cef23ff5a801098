"""Makes the report on a remote node from its API."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from peatnode.api.failures import sentence
from peatnode.api.findings.finding import Severity
from peatnode.api.findings.replies import NoAnswer
from peatnode.cli.status.report import StatusReport
from peatnode.cli.target import RemoteNode
from peatnode.client.errors import Unavailable, UnexpectedAnswer, UnknownOutcome, Unreachable
from peatnode.client.models import Node, NodeFinding, NodeProblem, Peers, Readiness
from peatnode.client.retry import RetryPolicy

T = TypeVar("T")

ANSWER_SECONDS = 5.0

ADVICE_TO_REACH = "Check that the node runs, and that --url (or PEAT_URL) is its address."


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
            part = NoAnswer(target.url, str(error))
            return StatusReport(
                now, findings=(_no_answer(part, ADVICE_TO_REACH),), unanswered=(part,)
            )
    told = [part.now for part in (node, peers) if not isinstance(part, NoAnswer)]
    return report_of(node, readiness, peers, max(told, default=0.0) or now)


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
    return StatusReport(
        taken_at=now,
        node=known,
        workers=None if known is None else known.workers,
        peers=None if isinstance(peers, NoAnswer) else peers.peers,
        differing=() if isinstance(peers, NoAnswer) else peers.differing,
        store=None if known is None else known.store,
        sources=None if known is None else known.sources,
        findings=_findings(readiness, known),
        unanswered=tuple(part for part in (node, readiness, peers) if isinstance(part, NoAnswer)),
    )


def _findings(readiness: Readiness | NoAnswer, node: Node | None) -> tuple[NodeFinding, ...]:
    if isinstance(readiness, NoAnswer):
        return (_no_answer(readiness, "The log of the node shows the reason."),)
    if readiness.findings is None:
        return _findings_of_an_old_node(readiness, () if node is None else node.problems)
    return readiness.findings


def _no_answer(part: NoAnswer, advice: str) -> NodeFinding:
    return NodeFinding(
        Severity.ERROR, part.name, sentence(f"{part.name} does not answer: {part.reason}"), advice
    )


def _findings_of_an_old_node(
    readiness: Readiness, problems: tuple[NodeProblem, ...]
) -> tuple[NodeFinding, ...]:
    """What a node before 0.3 says of itself: its failed checks, and the problems that block nothing."""
    failed = [
        NodeFinding(Severity.ERROR, check.name, f"Not ready: {check.message or check.name}.")
        for check in readiness.checks
        if not check.is_ready
    ]
    raised = [
        NodeFinding(Severity.NOTICE, problem.worker, sentence(problem.message), problem.advice)
        for problem in problems
        if not problem.blocks_readiness
    ]
    return (*failed, *raised)
