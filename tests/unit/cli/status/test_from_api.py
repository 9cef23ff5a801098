from dataclasses import replace

from peatnode.cli.status.diagnosis import Health, diagnose
from peatnode.cli.status.from_api import report_of
from peatnode.cli.status.report import NoAnswer
from peatnode.client.models import Check, NodeFinding, NodeProblem, Peers, Readiness
from tests.support.reports import NODE, NOW, PEER

FINDING = NodeFinding("degraded", "peers", "0 of 1 expected peer are connected.", "Start it.")
READY = Readiness(True, "peat-mesh-0", (), (FINDING,))


def test_the_findings_are_those_of_the_node() -> None:
    report = report_of(NODE, READY, Peers((PEER,)), NOW)
    assert report.findings == (FINDING,)


def test_a_node_that_says_nothing_of_its_readiness_is_not_healthy() -> None:
    report = report_of(NODE, NoAnswer("broker", "the answer is no JSON"), Peers(()), NOW)
    (finding,) = report.findings
    assert finding.message == "Broker does not answer: the answer is no JSON."
    assert diagnose(report).health is Health.DEGRADED


def test_a_node_of_an_older_release_has_its_failed_checks_and_problems() -> None:
    problem = NodeProblem("supervisor", "open_api", "the API is open", "Set a token.", False, NOW)
    old = Readiness(False, "n", (Check("store", False, "the disk is full"), Check("x", True, "")))
    report = report_of(replace(NODE, problems=(problem,)), old, Peers(()), NOW)
    assert [finding.message for finding in report.findings] == [
        "Not ready: the disk is full.",
        "The API is open.",
    ]
