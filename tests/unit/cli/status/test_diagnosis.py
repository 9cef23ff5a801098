from dataclasses import replace

import pytest

from peatnode.cli.exits import Exit
from peatnode.cli.status.diagnosis import Health, Severity, diagnose
from peatnode.cli.status.report import NoAnswer, StatusReport
from peatnode.client.models import NodeProblem, Source
from tests.support.reports import HEALTHY, LATE, LOST, NODE, NOW, PEER, STORE, worker


def test_nothing_is_wrong() -> None:
    diagnosis = diagnose(HEALTHY)
    assert (diagnosis.health, diagnosis.findings) == (Health.HEALTHY, ())
    assert diagnosis.exit_status == Exit.OK


def test_a_node_alone_is_healthy() -> None:
    assert diagnose(replace(HEALTHY, peers=())).health is Health.HEALTHY


def test_nobody_answers() -> None:
    unanswered = tuple(NoAnswer(name, "refused") for name in ("supervisor", "store", "sync"))
    diagnosis = diagnose(StatusReport(NOW, unanswered=unanswered))
    assert diagnosis.health is Health.UNREACHABLE
    assert diagnosis.exit_status == Exit.UNREACHABLE


def test_an_address_at_which_nobody_answers_has_advice_of_its_own() -> None:
    (finding,) = diagnose(
        StatusReport(NOW, unanswered=(NoAnswer("http://h:1", "refused"),))
    ).findings
    assert (
        finding.advice == "Check that the node runs, and that --url (or PEAT_URL) is its address."
    )


WRONG = {
    "a worker does not answer": replace(
        HEALTHY, unanswered=(NoAnswer("sync", "refused"),), peers=None
    ),
    "the supervisor does not": replace(
        HEALTHY, unanswered=(NoAnswer("supervisor", "x"),), node=None
    ),
    "a worker waits": replace(HEALTHY, workers=(worker("store", "waiting"),)),
    "it stops": replace(HEALTHY, node=replace(NODE, is_stopping=True)),
    "the disk is full": replace(HEALTHY, store=replace(STORE, is_writable=False, problem="full")),
    "quarantine": replace(HEALTHY, store=replace(STORE, quarantined=("c/i",))),
    "a peer lags": replace(HEALTHY, peers=(PEER, LATE)),
    "a peer is lost": replace(HEALTHY, peers=(PEER, LOST)),
    "a peer is refused": replace(HEALTHY, peers=(replace(LOST, state="refused"),)),
    "a twin": replace(HEALTHY, peers=(replace(PEER, is_twin=True),)),
    "discovery fails": replace(HEALTHY, sources=(Source("k", "failing", "403", 0, 9.0),)),
    "discovery has not found out yet": replace(
        HEALTHY, sources=(Source("k", "starting", "", 0, None),)
    ),
    "the clock is in doubt": replace(
        HEALTHY,
        problems=(NodeProblem("sync", "clock", "b is 9 h ahead", "NTP.", False, NOW),),
    ),
    "a problem": replace(HEALTHY, problems=(NodeProblem("w", "n", "No.", "Do.", True, NOW),)),
}


@pytest.mark.parametrize("report", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_and_degrades(report: StatusReport) -> None:
    diagnosis = diagnose(report)
    assert diagnosis.health is Health.DEGRADED
    assert diagnosis.exit_status == Exit.DEGRADED
    assert diagnosis.findings
    assert all(finding.message for finding in diagnosis.findings)


@pytest.mark.parametrize(
    ("peers", "said"), [(0, "k finds no peers"), (1, "k finds only some peers")]
)
def test_a_source_that_fails_may_have_found_some(peers: int, said: str) -> None:
    source = Source("k", "failing", "403", peers, 9.0)
    (finding,) = diagnose(replace(HEALTHY, sources=(source,))).findings
    assert finding.message == f"{said}: 403"


NOTICED = {
    "a problem that blocks nothing": replace(
        HEALTHY, problems=(NodeProblem("w", "n", "No token.", "Set one.", False, NOW),)
    ),
    "little room": replace(HEALTHY, store=replace(STORE, disk_free_bytes=2**20)),
    "a peer being dialled": replace(
        HEALTHY, peers=(replace(LOST, state="dialling", out_of_sync_since=None),)
    ),
}


@pytest.mark.parametrize("report", NOTICED.values(), ids=NOTICED.keys())
def test_notices_do_not_make_it_unhealthy(report: StatusReport) -> None:
    diagnosis = diagnose(report)
    assert diagnosis.health is Health.HEALTHY
    assert [finding.severity for finding in diagnosis.findings] == [Severity.NOTICE]


def test_what_passes_by_itself_is_not_called_wrong() -> None:
    just_now = replace(LATE, out_of_sync_since=NOW - 1)
    assert diagnose(replace(HEALTHY, peers=(just_now,))).findings == ()


def test_the_worst_comes_first() -> None:
    report = replace(
        WRONG["a peer lags"],
        problems=(
            NodeProblem("w", "n", "x", "", False, 0),
            NodeProblem("w", "m", "y", "", True, 0),
        ),
    )
    severities = [finding.severity for finding in diagnose(report).findings]
    assert severities == [Severity.ERROR, Severity.DEGRADED, Severity.NOTICE]


def test_how_far_behind_and_since_when() -> None:
    (finding,) = diagnose(WRONG["a peer lags"]).findings
    assert "peat-mesh-2 is not in sync: 17 documents differ, for 1 min 30 s" in finding.message
