"""Finds the problems of a node, each with advice. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from peatnode.cli.exits import Exit
from peatnode.cli.status.report import StatusReport
from peatnode.cli.terminal.numbers import first_names, plural, span
from peatnode.client.models import NodeProblem, Peer
from peatnode.model.states import PeerStatus, SourceStatus, WorkerStatus

GRACE_SECONDS = 10.0
"""A peer may be out of sync or connecting this long before it is a finding: two periods of anti-entropy."""

RESTRICTING = {("sync", "clock")}
"""Worker and name of the problems with which a node stays ready and works with restrictions."""

LOW_DISK_BYTES = 512 * 1024 * 1024


class Severity(StrEnum):
    ERROR = "error"
    """The node does not work."""
    DEGRADED = "degraded"
    """The node works with restrictions."""
    NOTICE = "notice"
    """Information; the node works."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of the node, or a piece of information."""

    severity: Severity
    where: str
    """A worker, `node`, or `peer NAME`."""
    message: str
    advice: str


class Health(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The health of a node, and the findings that it follows from, the worst first."""

    health: Health
    findings: tuple[Finding, ...]

    @property
    def exit_status(self) -> Exit:
        match self.health:
            case Health.HEALTHY:
                return Exit.OK
            case Health.DEGRADED:
                return Exit.DEGRADED
            case Health.UNREACHABLE:
                return Exit.UNREACHABLE


def diagnose(report: StatusReport) -> Diagnosis:
    found = [
        *_node(report),
        *_workers(report),
        *_raised(report),
        *_store(report),
        *_peers(report),
        *_sources(report),
    ]
    order = list(Severity)
    findings = tuple(sorted(found, key=lambda finding: order.index(finding.severity)))
    if all(part is None for part in (report.node, report.store, report.peers, report.sources)):
        return Diagnosis(Health.UNREACHABLE, findings)
    is_healthy = all(finding.severity is Severity.NOTICE for finding in findings)
    return Diagnosis(Health.HEALTHY if is_healthy else Health.DEGRADED, findings)


def _node(report: StatusReport) -> Iterator[Finding]:
    for part in report.unanswered:
        yield Finding(
            Severity.ERROR,
            part.name,
            f"{part.name} does not answer: {part.reason}",
            _advice_for_unanswered(part.name),
        )
    if report.node is not None and report.node.is_stopping:
        yield Finding(Severity.ERROR, "node", "The node is stopping.", "")


def _advice_for_unanswered(name: str) -> str:
    if "://" in name:
        return "Check that the node runs, and that --url (or PEAT_URL) is its address."
    if name == "supervisor":
        return "If the node was just started, wait. Otherwise check its log and start it again."
    return "The supervisor restarts it. The log of the node shows the reason."


def _workers(report: StatusReport) -> Iterator[Finding]:
    for worker in report.workers or ():
        if worker.state == WorkerStatus.READY:
            continue
        last = f" (previous exit: {worker.last_exit})" if worker.last_exit else ""
        yield Finding(
            Severity.ERROR,
            worker.name,
            f"{worker.name} is {worker.state}{last}.",
            "The supervisor restarts it. If it stays down, the log of the node shows the reason.",
        )


def _raised(report: StatusReport) -> Iterator[Finding]:
    for problem in report.problems:
        yield Finding(_severity(problem), problem.worker, problem.message, problem.advice)


def _severity(problem: NodeProblem) -> Severity:
    if problem.blocks_readiness:
        return Severity.ERROR
    is_restricting = (problem.worker, problem.name) in RESTRICTING
    return Severity.DEGRADED if is_restricting else Severity.NOTICE


def _store(report: StatusReport) -> Iterator[Finding]:
    store = report.store
    if store is None:
        return
    if not store.is_writable:
        yield Finding(
            Severity.ERROR,
            "store",
            f"The store refuses writes: {store.problem or 'the store is read-only'}",
            "Reads still work. Make the disk take writes again; they resume without a restart.",
        )
    elif 0 < store.disk_free_bytes < LOW_DISK_BYTES:
        yield Finding(
            Severity.NOTICE,
            "store",
            f"The disk has {store.disk_free_bytes // 2**20} MiB free.",
            "Free disk space before the store refuses writes.",
        )
    if store.quarantined:
        count = plural(len(store.quarantined), "document")
        yield Finding(
            Severity.DEGRADED,
            "store",
            f"{count} quarantined because the engine failed on them: {first_names(store.quarantined)}",
            "They no longer sync. Write them again, or delete them.",
        )


def _peers(report: StatusReport) -> Iterator[Finding]:
    for peer in report.peers or ():
        where = f"peer {peer.id}"
        if peer.is_twin:
            yield Finding(
                Severity.DEGRADED,
                where,
                f"{peer.id}: two nodes use this identity.",
                "Give each node its own HOSTNAME, or each cluster its own PEAT_CLUSTER.",
            )
        if finding := _sync_finding(peer, where, report):
            yield finding


def _sync_finding(peer: Peer, where: str, report: StatusReport) -> Finding | None:
    since = peer.out_of_sync_since
    age = max(0.0, report.taken_at - since) if since else None
    if not peer.is_connected:
        if peer.state in (PeerStatus.DISCOVERED, PeerStatus.DIALLING) and (
            age is None or age < GRACE_SECONDS
        ):
            return Finding(Severity.NOTICE, where, f"{peer.id} is connecting.", "")
        for_long = f" for {span(age)}" if age is not None else ""
        return Finding(
            Severity.DEGRADED,
            where,
            f"{peer.id} is not connected{for_long}: {peer.reason or peer.state}",
            _advice_to_connect(peer),
        )
    if peer.is_in_sync or (age is not None and age < GRACE_SECONDS):
        return None
    behind = (
        f"{plural(peer.behind_documents, 'document')} differ"
        if peer.behind_documents
        else "its documents differ"
    )
    for_long = f", for {span(age)}" if age is not None else ""
    return Finding(
        Severity.DEGRADED,
        where,
        f"{peer.id} is not in sync: {behind}{for_long}. {peer.reason}".rstrip(),
        "It catches up while it is connected. If the number does not fall, check its log.",
    )


def _advice_to_connect(peer: Peer) -> str:
    if peer.state == PeerStatus.REFUSED:
        return "Both nodes need the same formation secret, and the node id must match the discovered one."
    at = f" at {peer.addresses[0]} (UDP)" if peer.addresses else ""
    return f"Check that it runs and is reachable{at}. The node keeps trying to connect."


def _sources(report: StatusReport) -> Iterator[Finding]:
    for source in report.sources or ():
        if source.state == SourceStatus.FAILING:
            yield Finding(
                Severity.DEGRADED,
                "discovery",
                f"{source.name} finds {'only some' if source.peers else 'no'} peers: {source.message}",
                "Known peers remain. New peers are found when it works again.",
            )
        elif source.state == SourceStatus.STARTING:
            yield Finding(
                Severity.DEGRADED,
                "discovery",
                f"{source.name} has not completed its first search for peers: "
                f"{source.message or source.state}",
                "The node is ready after the first search.",
            )
