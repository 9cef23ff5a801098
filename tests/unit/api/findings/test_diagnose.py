"""What is wrong with the node, its workers, its store and its sources, and how bad it is."""

from dataclasses import replace

import pytest

from peatnode.api.findings.diagnose import diagnose
from peatnode.api.findings.finding import Finding, Severity, encode_findings
from peatnode.api.findings.replies import NoAnswer, NodeReplies, collected
from peatnode.ipc.messages import DiscoveryReply, SourceState, WorkerProblem
from peatnode.model.states import SourceStatus, WorkerStatus
from tests.support.replies import DISCOVERY, NODE, NOW, PEER, PEERS, STORE
from workers.broker.node.readiness import checks

HEALTHY = collected(NODE, STORE, PEERS, DISCOVERY)


def problem(worker: str, name: str, is_blocking: bool = False) -> WorkerProblem:
    return WorkerProblem(worker, name, f"{name} is wrong.", "Do.", is_blocking, NOW)


def raised(*problems: WorkerProblem) -> NodeReplies:
    return replace(HEALTHY, node=replace(NODE, problems=problems))


def state_of(name: str, state: WorkerStatus) -> NodeReplies:
    workers = [replace(w, state=state) if w.name == name else w for w in NODE.workers]
    return replace(HEALTHY, node=replace(NODE, workers=tuple(workers)))


def sources(*states: SourceState, age: float = 60.0) -> NodeReplies:
    workers = tuple([replace(worker, started_at=NOW - age) for worker in NODE.workers])
    node = replace(NODE, workers=workers)
    return replace(HEALTHY, node=node, discovery=DiscoveryReply(states, ()))


FAILING = SourceState("kubernetes", SourceStatus.FAILING, "status 403", 0, -1.0, 90.0)

NOT_READY = {
    "the supervisor does not answer": collected(
        NoAnswer("supervisor", "refused"), STORE, PEERS, DISCOVERY
    ),
    "the store does not": collected(NODE, NoAnswer("store", "refused"), PEERS, DISCOVERY),
    "a worker waits": state_of("sync", WorkerStatus.WAITING),
    "a worker is missing": replace(HEALTHY, node=replace(NODE, workers=NODE.workers[1:])),
    "it stops": replace(HEALTHY, node=replace(NODE, is_stopping=True)),
    "the disk is full": replace(HEALTHY, store=replace(STORE, is_writable=False, problem="full")),
    "the engine is away": replace(HEALTHY, store=replace(STORE, engine_is_ready=False)),
    "a problem that blocks": raised(problem("store", "damage", is_blocking=True)),
}

DEGRADED = {
    "sync does not answer": collected(NODE, STORE, NoAnswer("sync", "refused"), DISCOVERY),
    "discovery does not": collected(NODE, STORE, PEERS, NoAnswer("discovery", "refused")),
    "quarantine": replace(HEALTHY, store=replace(STORE, quarantined=("c/i",))),
    "a source fails": sources(FAILING, age=1.0),
    "a source does not come to an end": sources(
        SourceState("static", SourceStatus.STARTING, "", 0, -1.0)
    ),
    "the clock is in doubt": raised(problem("sync", "clock")),
    "a member imitates another": raised(problem("sync", "identity")),
    "deletions are paused": raised(problem("store", "deletions")),
    "a peer differs": replace(
        HEALTHY, peers=replace(PEERS, peers=(replace(PEER, is_in_sync=False),))
    ),
}

NOTICED = {
    "a problem that blocks nothing": raised(problem("store", "mended")),
    "little room": replace(HEALTHY, store=replace(STORE, disk_free_bytes=2**20)),
    "a source that has just begun": sources(
        SourceState("static", SourceStatus.STARTING, "", 0, -1.0), age=2.0
    ),
}

CASES = [
    (severity, replies)
    for severity, cases in (
        (Severity.ERROR, NOT_READY),
        (Severity.DEGRADED, DEGRADED),
        (Severity.NOTICE, NOTICED),
    )
    for replies in cases.values()
]


CASE_NAMES = [*NOT_READY, *DEGRADED, *NOTICED]


def test_nothing_is_wrong() -> None:
    assert diagnose(HEALTHY, NOW) == ()
    assert diagnose(replace(HEALTHY, peers=replace(PEERS, peers=())), NOW) == ()


@pytest.mark.parametrize(("severity", "replies"), CASES, ids=CASE_NAMES)
def test_what_is_wrong_is_said_once_and_only_errors_fail_readiness(
    severity: Severity, replies: NodeReplies
) -> None:
    (finding,) = diagnose(replies, NOW)
    assert finding.severity is severity
    assert finding.message.endswith(".")
    is_ready = all(check.is_ready for check in checks(replies.node, replies.store, False))
    assert is_ready == (severity is not Severity.ERROR)


@pytest.mark.parametrize("worker", ["store", "engine"])
def test_an_engine_that_waits_for_a_worker_is_told_once(worker: str) -> None:
    replies = state_of(worker, WorkerStatus.STARTING)
    replies = replace(replies, store=replace(STORE, engine_is_ready=False))
    assert [finding.where for finding in diagnose(replies, NOW)] == [worker]


def test_a_worker_that_starts_and_does_not_answer_is_told_once() -> None:
    silent = collected(NODE, STORE, NoAnswer("sync", "no hello within 2 s"), DISCOVERY)
    replies = replace(silent, node=state_of("sync", WorkerStatus.STARTING).node)
    (finding,) = diagnose(replies, NOW)
    assert finding.message == "sync is starting."


def test_a_node_that_only_the_caller_knows_to_stop() -> None:
    (finding,) = diagnose(HEALTHY, NOW, is_stopping=True)
    assert (finding.severity, finding.message) == (Severity.ERROR, "The node is stopping.")


def test_nobody_answers() -> None:
    names = ("supervisor", "store", "sync", "discovery")
    found = diagnose(
        NodeReplies(None, None, None, None, tuple(NoAnswer(n, "x") for n in names)), NOW
    )
    assert {finding.where for finding in found} == set(names)


@pytest.mark.parametrize(
    ("last_exit", "advice"), [("", "just been started"), ("killed by SIGKILL", "restarts it")]
)
def test_a_worker_that_starts(last_exit: str, advice: str) -> None:
    starting = replace(NODE.workers[0], state=WorkerStatus.STARTING, last_exit=last_exit)
    node = replace(NODE, workers=(starting, *NODE.workers[1:]))
    (finding,) = diagnose(replace(HEALTHY, node=node), NOW)
    assert last_exit in finding.message
    assert advice in finding.advice


def test_a_failing_source_is_told_once_since_when_and_why() -> None:
    (finding,) = diagnose(sources(FAILING), NOW)
    assert finding.message.startswith("kubernetes finds no peers since ")
    assert finding.message.endswith(" UTC (1 min 30 s). Status 403.")
    known = sources(replace(FAILING, peers=2))
    assert known.node is not None
    told = replace(
        known, node=replace(known.node, problems=(problem("discovery", "discovery.kubernetes"),))
    )
    (finding,) = diagnose(told, NOW)
    assert "finds only some peers since" in finding.message
    assert finding.message.endswith("discovery.kubernetes is wrong.")
    assert finding.advice == "Do."


def test_the_reason_of_the_store_is_told_once() -> None:
    full = replace(STORE, is_writable=False, problem="the disk is full")
    replies = replace(raised(problem("store", "storage", is_blocking=True)), store=full)
    (finding,) = diagnose(replies, NOW)
    assert finding.message == "Storage is wrong."


def test_the_worst_comes_first() -> None:
    replies = raised(problem("w", "n"), problem("sync", "clock"), problem("w", "m", True))
    severities = [finding.severity for finding in diagnose(replies, NOW)]
    assert severities == [Severity.ERROR, Severity.DEGRADED, Severity.NOTICE]


def test_the_body_of_a_finding() -> None:
    finding = Finding(Severity.NOTICE, "store", "It is so.", "Do this.")
    assert encode_findings([finding]) == [
        {"severity": "notice", "where": "store", "message": "It is so.", "advice": "Do this."}
    ]
