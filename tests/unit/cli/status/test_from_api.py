import json
from dataclasses import replace

import pytest

from peatnode.api.encode_node import encode_node
from peatnode.api.encode_peer import encode_peers
from peatnode.api.findings.diagnose import diagnose as find
from peatnode.api.findings.finding import encode_findings
from peatnode.api.findings.replies import NodeReplies
from peatnode.cli.status.diagnosis import Health, diagnose
from peatnode.cli.status.from_api import report_of
from peatnode.cli.status.from_sockets import report_of as local_report
from peatnode.cli.status.report import NoAnswer, StatusReport
from peatnode.client._wire.fields import Fields
from peatnode.client._wire.records import decode_record
from peatnode.client._wire.responses import NodeResponse, read_readiness
from peatnode.client.models import Check, Node, NodeFinding, NodeProblem, Peers, Readiness
from tests.support.reports import NODE, NOW, PEER
from tests.unit.api.findings.test_diagnose import CASE_NAMES, CASES, HEALTHY
from workers.broker.node.readiness import checks

FINDING = NodeFinding("degraded", "peers", "0 of 1 expected peers are connected.", "Start it.")
READY = Readiness(True, "peat-mesh-0", (), (FINDING,))


def over_http(replies: NodeReplies) -> StatusReport:
    """What `inspect_api` makes of the answers of a node with these replies."""
    node: Node | NoAnswer = NoAnswer("supervisor", "status 503")
    peers: Peers | NoAnswer = NoAnswer("sync", "status 503")
    if replies.node is not None:
        body = encode_node(replies.node, replies.store, replies.discovery, NOW)
        node = decode_record(Node, Fields(json.loads(json.dumps(body))))
    if replies.peers is not None:
        peers = decode_record(Peers, Fields(json.loads(json.dumps(encode_peers(replies.peers)))))
    ready = {
        "ready": all(check.is_ready for check in checks(replies.node, replies.store, False)),
        "node_id": "peat-mesh-0",
        "checks": [],
        "findings": encode_findings(find(replies, NOW)),
    }
    readiness = read_readiness(NodeResponse(200, {}, json.dumps(ready).encode()))
    return report_of(node, readiness, peers, NOW)


def by_sockets(replies: NodeReplies) -> StatusReport:
    silent = {part.name: part for part in replies.unanswered}
    return local_report(
        replies.node or silent["supervisor"],
        replies.store or silent["store"],
        replies.peers or silent["sync"],
        replies.discovery or silent["discovery"],
        NOW,
    )


@pytest.mark.parametrize(
    "replies", [HEALTHY, *[replies for _, replies in CASES]], ids=["healthy", *CASE_NAMES]
)
def test_the_verdict_is_the_same_on_both_ways(replies: NodeReplies) -> None:
    assert diagnose(by_sockets(replies)) == diagnose(over_http(replies))


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
