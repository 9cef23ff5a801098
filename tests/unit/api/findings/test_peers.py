"""The findings on peers: absent, unreachable, expected, different ones, and many of them at once."""

import re
from dataclasses import replace

import pytest

from peatnode.api.findings.finding import Finding, Severity
from peatnode.api.findings.peers import MAX_EACH, peer_findings
from peatnode.ipc.messages import PeersReply, PeerState
from peatnode.model.states import PeerStatus
from tests.support.replies import PEER

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
LONG = 3600.0

AWAY = replace(
    PEER,
    is_connected=False,
    is_in_sync=False,
    state=PeerStatus.ABSENT,
    absent_since=NOW - 3 * 3600 - 12 * 60,
    last_equal=NOW - 3 * 3600 - 13 * 60,
    is_remembered=True,
)
NEVER = replace(
    PEER,
    is_connected=False,
    is_in_sync=False,
    state=PeerStatus.ABSENT,
    addresses=(),
    is_expected=True,
)
LATE = replace(PEER, is_in_sync=False, behind_documents=17, out_of_sync_since=NOW - 90)


def found(
    *peers: PeerState, sync_age: float = LONG, expected: int = 0, missing: tuple[str, ...] = ()
) -> list[Finding]:
    reply = PeersReply(peers, b"", (), documents=49_391, expected=expected, missing=missing)
    return peer_findings(reply, sync_age, NOW)


def test_an_absent_peer_is_told_since_when_and_when_it_was_last_equal() -> None:
    (finding,) = found(AWAY)
    assert finding.severity is Severity.DEGRADED
    assert finding.where == "peer peat-mesh-1"
    assert finding.message == (
        "peat-mesh-1 is absent since 04:48 UTC (3 h 12 min); it last had the same documents at 04:47 UTC."
    )
    assert "`peatnode peers forget peat-mesh-1`" in finding.advice
    assert "127.0.0.1:11205 (UDP)" in finding.advice


@pytest.mark.parametrize(
    ("last_equal", "said"),
    [
        (0.0, "; it never had the same documents as this node."),
        (AWAY.absent_since - 19, "; it had the same documents then."),
        (NOW - 9 * 86400, "; it last had the same documents at 2027-01-06 08:00 UTC."),
    ],
)
def test_when_an_absent_peer_was_last_equal(last_equal: float, said: str) -> None:
    (finding,) = found(replace(AWAY, last_equal=last_equal))
    assert finding.message.endswith(said)


def test_an_absent_peer_that_cannot_be_reached_is_told_why() -> None:
    (finding,) = found(replace(AWAY, reason="no answer within 10 s", failing_since=NOW - 60))
    assert finding.message.endswith(
        " It cannot be reached since 07:59 UTC (1 min): no answer within 10 s."
    )
    (finding,) = found(replace(AWAY, reason="Idle timeout"))
    assert finding.message.endswith(" Its connection ended: Idle timeout.")


@pytest.mark.parametrize(
    ("age", "sync_age", "severity"),
    [
        (5.0, LONG, Severity.NOTICE),
        (10.0, LONG, Severity.DEGRADED),
        (5000.0, 3.0, Severity.NOTICE),
        (5000.0, 10.0, Severity.DEGRADED),
    ],
)
def test_a_restart_of_the_peer_or_of_this_node_is_a_notice(
    age: float, sync_age: float, severity: Severity
) -> None:
    (finding,) = found(replace(AWAY, absent_since=NOW - age), sync_age=sync_age)
    assert finding.severity is severity


def test_a_peer_that_is_connected_under_its_name_is_not_absent() -> None:
    assert found(PEER, AWAY) == []


def test_a_peer_that_was_never_connected_is_told_from_the_first_failure() -> None:
    dialled = replace(AWAY, state=PeerStatus.DIALLING, absent_since=0.0)
    (finding,) = found(dialled)
    assert (finding.severity, finding.message) == (
        Severity.NOTICE,
        "peat-mesh-1 is being connected.",
    )
    failing = replace(dialled, state=PeerStatus.WAITING, reason="refused", failing_since=NOW - 3)
    (finding,) = found(failing)
    assert finding.severity is Severity.NOTICE
    assert finding.message == "peat-mesh-1 is not connected since 07:59 UTC (3 s): refused."
    (finding,) = found(replace(failing, state=PeerStatus.DIALLING, failing_since=NOW - 11))
    assert finding.severity is Severity.DEGRADED
    (finding,) = found(replace(failing, state=PeerStatus.REFUSED))
    assert finding.severity is Severity.DEGRADED
    assert "same formation secret" in finding.advice


def test_expected_peers_that_are_missing_are_told_from_the_first_second() -> None:
    never = (replace(NEVER, id="b"), replace(NEVER, id="c"))
    (finding,) = found(PEER, *never, expected=3, missing=("b", "c"), sync_age=0.5)
    assert finding.severity is Severity.DEGRADED
    assert finding.message == "1 of 3 expected peers is connected; missing: b, c."
    assert "PEAT_EXPECTED_PEERS" in finding.advice
    (finding,) = found(PEER, expected=3)
    assert finding.message == "1 of 3 expected peers is connected."
    (finding,) = found(expected=1)
    assert finding.message == "0 of 1 expected peers are connected."
    assert found(PEER, expected=1) == []
    assert found(PEER, replace(PEER, id="b"), expected=1) == []


def test_an_expected_peer_that_restarts_is_a_notice() -> None:
    gone = replace(AWAY, is_expected=True, absent_since=NOW - 4)
    assert {one.severity for one in found(gone, expected=1, missing=(gone.id,))} == {
        Severity.NOTICE
    }
    both = found(gone, replace(NEVER, id="b"), expected=2, missing=("b", gone.id))
    assert [one.severity for one in both] == [Severity.DEGRADED, Severity.NOTICE]


def test_an_expected_peer_whose_address_fails_is_told_why() -> None:
    (finding,) = found(replace(NEVER, reason="no answer", failing_since=NOW - 20))
    assert "peat-mesh-1 is not connected since 07:59 UTC (20 s): no answer." in finding.message


def test_how_far_behind_and_since_when() -> None:
    (finding,) = found(LATE)
    assert finding.message == (
        "peat-mesh-1 is not in sync: 17 documents differ, since 07:58 UTC (1 min 30 s)."
    )
    assert found(replace(LATE, out_of_sync_since=NOW - 3)) == []
    (finding,) = found(replace(LATE, behind_documents=0))
    assert "0 documents" not in finding.message


def test_joining_has_progress_and_no_number_that_contradicts_it() -> None:
    source = replace(
        LATE, behind_documents=512, documents=100_014, documents_per_second=5200.4, seconds_left=9.7
    )
    other = replace(LATE, id="b", behind_documents=0, documents=100_014)
    (finding,) = found(source, other)
    assert finding.message == (
        "Fetches documents from peat-mesh-1: 49,391 of 100,014 documents, 5,200/s, about 9 s left."
    )
    assert finding.severity is Severity.DEGRADED
    (finding,) = found(replace(source, out_of_sync_since=NOW - 2), other)
    assert finding.severity is Severity.NOTICE
    (finding,) = found(replace(source, out_of_sync_since=NOW - 2, seconds_left=10.0), other)
    assert finding.severity is Severity.DEGRADED, "it will last longer than the grace"


def test_of_equal_numbers_the_documents_that_differ_are_told() -> None:
    source = replace(
        LATE, behind_documents=512, documents=49_391, documents_per_second=64.0, seconds_left=8.0
    )
    (finding,) = found(source)
    assert finding.message == (
        "Fetches documents from peat-mesh-1: at least 512 documents differ, 64/s, about 8 s left."
    )


def test_a_peer_that_joins_is_late_itself() -> None:
    (finding,) = found(replace(LATE, documents=3, documents_per_second=0.0))
    assert finding.where == "peer peat-mesh-1"


def test_twins_are_told_once() -> None:
    (finding,) = found(replace(PEER, is_twin=True), replace(PEER, instance="ab" * 16, is_twin=True))
    assert finding.message == "peat-mesh-1: two nodes use this identity."


MANY = [
    (AWAY, "1,000 peers (p000, p001, p002 and 997 more) are absent, the longest since"),
    (
        replace(AWAY, absent_since=0.0, state=PeerStatus.WAITING, failing_since=NOW - 99),
        "1,000 peers (p000, p001, p002 and 997 more) are not connected, the longest since",
    ),
    (
        replace(AWAY, absent_since=0.0, state=PeerStatus.DIALLING),
        "1,000 peers (p000, p001, p002 and 997 more) are being connected.",
    ),
    (LATE, "1,000 peers (p000, p001, p002 and 997 more) are not in sync, the longest since"),
]


@pytest.mark.parametrize(("peer", "said"), MANY)
def test_many_peers_have_one_finding_together(peer: PeerState, said: str) -> None:
    peers = [replace(peer, id=f"p{number:03}") for number in range(1000)]
    (finding,) = found(*peers)
    assert finding.where == "peers"
    assert finding.message.startswith(said)
    assert len(found(*peers[:MAX_EACH])) == MAX_EACH


@pytest.mark.parametrize("peer", [AWAY, LATE, replace(PEER, is_twin=True)])
def test_no_finding_has_an_instance(peer: PeerState) -> None:
    for finding in found(peer, expected=9):
        assert not re.search("[0-9a-f]{16}", finding.message + finding.advice + finding.where)


def test_an_address_that_leads_to_this_node_itself_is_told_and_restricts_nothing() -> None:
    ourselves = replace(
        PEER,
        id="10.0.0.9:11204",
        is_connected=False,
        state=PeerStatus.OURSELVES,
        reason="10.0.0.9:11204 leads to this node itself",
        failing_since=NOW - 60,
    )
    (finding,) = found(ourselves)
    assert finding.severity is Severity.NOTICE
    assert finding.message.startswith("10.0.0.9:11204 is no other node: 10.0.0.9:11204 leads to")
    assert "PEAT_STATIC_PEERS" in finding.advice
    (finding,) = found(*[replace(ourselves, id=f"p{n}") for n in range(MAX_EACH + 1)])
    assert finding.message.startswith("6 peers (")
