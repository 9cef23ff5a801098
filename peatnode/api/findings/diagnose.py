"""Finds what is wrong with a node, from the replies of its workers."""

from __future__ import annotations

from collections.abc import Iterator

from peatnode.api.failures import sentence
from peatnode.api.findings.finding import Finding, Severity
from peatnode.api.findings.peers import GRACE_SECONDS, peer_findings
from peatnode.api.findings.replies import NodeReplies
from peatnode.ipc.messages import NodeReply, SourceState, StoreReply, WorkerProblem
from peatnode.model.amounts import first_names, plural, since
from peatnode.model.states import SourceStatus, WorkerStatus
from peatnode.supervision.workers import WORKERS

RESTRICTING = {("sync", "clock"), ("sync", "identity"), ("store", "deletions")}
"""Worker and name of the problems with which a node stays ready and works with restrictions."""

SERVING = {"supervisor", "store"}
"""Parts without whose answer the node is not ready."""

LOW_DISK_BYTES = 512 * 1024 * 1024

ADVICE_TO_RESTART = (
    "The supervisor restarts it. If it stays down, the log of the node shows the reason."
)


def diagnose(replies: NodeReplies, now: float, is_stopping: bool = False) -> tuple[Finding, ...]:
    """All findings, the worst first. `now`: Unix seconds. `is_stopping`: the caller knows that the node stops."""
    found = [
        *_unanswered(replies),
        *_node(replies.node, is_stopping),
        *_raised(replies),
        *_store(replies),
        *_sources(replies, now),
    ]
    if replies.peers is not None:
        found += peer_findings(replies.peers, _age_of("sync", replies.node, now), now)
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def _unanswered(replies: NodeReplies) -> Iterator[Finding]:
    for part in replies.unanswered:
        if part.name != "supervisor" and not _is_ready(part.name, replies.node):
            continue  # its state is a finding
        is_serving = part.name in SERVING
        yield Finding(
            Severity.ERROR if is_serving else Severity.DEGRADED,
            part.name,
            sentence(f"{part.name} does not answer: {part.reason}"),
            "If the node was just started, wait. Otherwise check its log and start it again."
            if part.name == "supervisor"
            else ADVICE_TO_RESTART,
        )


def _node(node: NodeReply | None, is_stopping: bool) -> Iterator[Finding]:
    if is_stopping or (node is not None and node.is_stopping):
        yield Finding(Severity.ERROR, "node", "The node is stopping.", "")
    if node is None:
        return
    states = {worker.name: worker for worker in node.workers}
    for spec in WORKERS:
        worker = states.get(spec.name)
        if worker is not None and worker.state == WorkerStatus.READY:
            continue
        last = f" (previous exit: {worker.last_exit})" if worker and worker.last_exit else ""
        state = worker.state if worker else "missing"
        is_first = state == WorkerStatus.STARTING and not last
        advice = "The node has just been started." if is_first else ADVICE_TO_RESTART
        yield Finding(Severity.ERROR, spec.name, f"{spec.name} is {state}{last}.", advice)


def _raised(replies: NodeReplies) -> Iterator[Finding]:
    shown = set(_failing_sources(replies))
    for problem in () if replies.node is None else replies.node.problems:
        if (problem.worker, problem.name) not in shown:
            yield Finding(
                _severity(problem), problem.worker, sentence(problem.message), problem.advice
            )


def _severity(problem: WorkerProblem) -> Severity:
    if problem.blocks_readiness:
        return Severity.ERROR
    is_restricting = (problem.worker, problem.name) in RESTRICTING
    return Severity.DEGRADED if is_restricting else Severity.NOTICE


def _store(replies: NodeReplies) -> Iterator[Finding]:
    store = replies.store
    if store is None:
        return
    yield from _writes(store, replies.node)
    is_told = not (_is_ready("engine", replies.node) and _is_ready("store", replies.node))
    if not store.engine_is_ready and not is_told:
        yield Finding(
            Severity.ERROR,
            "engine",
            "The engine is not ready.",
            "Writes wait for it. " + ADVICE_TO_RESTART,
        )
    if store.quarantined:
        count = plural(len(store.quarantined), "document")
        yield Finding(
            Severity.DEGRADED,
            "store",
            f"{count} quarantined because the engine failed on them: {first_names(store.quarantined)}.",
            "They no longer sync. Write them again, or delete them.",
        )


def _writes(store: StoreReply, node: NodeReply | None) -> Iterator[Finding]:
    if not store.is_writable:
        if not _blocks("store", node):
            yield Finding(
                Severity.ERROR,
                "store",
                sentence(f"the store refuses writes: {store.problem or 'it is read-only'}"),
                "Reads still work. Make the disk take writes again; they resume without a restart.",
            )
    elif 0 < store.disk_free_bytes < LOW_DISK_BYTES:
        yield Finding(
            Severity.NOTICE,
            "store",
            f"The disk has {store.disk_free_bytes // 2**20} MiB free.",
            "Free disk space before the store refuses writes.",
        )


def _sources(replies: NodeReplies, now: float) -> Iterator[Finding]:
    if replies.discovery is None:
        return
    problems = _failing_sources(replies)
    age = _age_of("discovery", replies.node, now)
    for source in replies.discovery.sources:
        match source.state:
            case SourceStatus.FAILING:
                yield _failing(source, problems.get(("discovery", f"discovery.{source.name}")), now)
            case SourceStatus.STARTING:
                yield Finding(
                    Severity.NOTICE if age < GRACE_SECONDS else Severity.DEGRADED,
                    "discovery",
                    f"{source.name} has not completed its first search for peers.",
                    "The node serves what it has meanwhile.",
                )
            case SourceStatus.WATCHING:
                pass


def _failing_sources(replies: NodeReplies) -> dict[tuple[str, str], WorkerProblem]:
    """The problems that the findings on sources tell, by worker and name."""
    if replies.discovery is None or replies.node is None:
        return {}
    names = {
        f"discovery.{source.name}"
        for source in replies.discovery.sources
        if source.state == SourceStatus.FAILING
    }
    return {
        (problem.worker, problem.name): problem
        for problem in replies.node.problems
        if problem.worker == "discovery" and problem.name in names
    }


def _failing(source: SourceState, problem: WorkerProblem | None, now: float) -> Finding:
    for_long = f" {since(now - source.failing_seconds, now)}" if source.failing_seconds >= 0 else ""
    reason = problem.message if problem else sentence(source.message)
    return Finding(
        Severity.DEGRADED,
        "discovery",
        f"{source.name} finds {'only some' if source.peers else 'no'} peers{for_long}. {reason}",
        problem.advice
        if problem
        else "Peers that are known are still dialled. New ones are found when it works again.",
    )


def _blocks(worker: str, node: NodeReply | None) -> bool:
    """Whether the worker has said itself why the node is not ready."""
    problems = () if node is None else node.problems
    return any(one.worker == worker and one.blocks_readiness for one in problems)


def _is_ready(worker: str, node: NodeReply | None) -> bool:
    """Whether the process runs, as far as is known."""
    return node is None or any(
        w.name == worker and w.state == WorkerStatus.READY for w in node.workers
    )


def _age_of(worker: str, node: NodeReply | None, now: float) -> float:
    """Seconds since the worker was started; infinite if that is unknown."""
    for state in () if node is None else node.workers:
        if state.name == worker and state.started_at:
            return max(0.0, now - state.started_at)
    return float("inf")
