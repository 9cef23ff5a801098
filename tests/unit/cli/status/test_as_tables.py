import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from peatnode.cli.status.as_json import status_json
from peatnode.cli.status.as_tables import status_page
from peatnode.cli.status.diagnosis import diagnose
from peatnode.cli.status.report import NoAnswer, StatusReport
from peatnode.client.models import NodeFinding
from tests.support.reports import HEALTHY, LATE, LOST, NOW, PEER

FINDING = NodeFinding(
    "degraded",
    "peer peat-mesh-3",
    "peat-mesh-3 is not connected: no answer to the handshake within 10 s.",
    "Check that it runs and is reachable at 127.0.0.1:11205 (UDP).",
)
FULL = replace(HEALTHY, peers=(PEER, LATE, LOST), findings=(FINDING,))


def page(report: StatusReport, width: int) -> str:
    out = io.StringIO()
    screen = Console(file=out, width=width, highlight=False)
    screen.print(status_page(report, diagnose(report), width))
    return out.getvalue()


def test_everything_worth_knowing_is_there() -> None:
    text = page(FULL, 120)
    for fact in (
        "peat-mesh-0  degraded  up 1 h 2 min",
        "89d009beaaa48319d5e5698c7e1c7807",
        "127.0.0.1:8081",
        "11204/udp",
        "1,234, 1 tombstone, change 1,300",
        "3.3 MiB used, 120 GiB free",
        "0123456789abcdef0123456789abcdef",
        "store",
        "broker",
        "in sync",
        "17 differ for 1 min 30 s",
        "out of sync for 6 min 40 s",
        "0.4 ms",
        "127.0.0.1:11205",
        "mdns",
        "no answer to the handshake within 10 s",
        "Check that it runs and is reachable at 127.0.0.1:11205 (UDP).",
    ):
        assert fact in text


def test_some_of_what_differs_is_named() -> None:
    assert "differing  c/a  " in page(replace(HEALTHY, differing=("c/a",)), 80)
    many = page(replace(HEALTHY, differing=("c/a", "c/b", "c/c", "c/d")), 80)
    assert "differing  c/a, c/b, c/c and 1 more" in many
    assert "differing" not in page(HEALTHY, 80)


def test_a_pipe_gets_no_colours() -> None:
    assert "\x1b" not in page(FULL, 120)


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_it_fits_the_terminal(width: int) -> None:
    assert max(len(line.rstrip()) for line in page(FULL, width).splitlines()) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_names_and_numbers_are_whole_on_usual_terminals(width: int) -> None:
    text = page(FULL, width)
    for whole in ("peat-mesh-3", "17 differ for 1 min 30 s", "127.0.0.1:11205", "supervisor"):
        assert whole in text


def test_a_narrow_one_shows_what_matters_most() -> None:
    text = page(FULL, 40)
    for line in ("peat-mesh-2  connected  17 differ", "broker      ready         0  21.0 MiB"):
        assert line in text


def test_a_status_shows_some_of_very_many_peers_and_all_that_are_connected() -> None:
    absent = [replace(LOST, id=f"a{number}", state="absent") for number in range(1000)]
    connected = [replace(PEER, id=f"z{number}") for number in range(20)]
    text = page(replace(HEALTHY, peers=(*absent, *connected)), 120)
    assert "z19  " in text
    assert "a29  " in text
    assert "a30  " not in text
    assert "and 970 more peers: `peatnode peers` lists them all" in text


def test_an_ipv6_address_is_no_markup() -> None:
    peer = replace(PEER, addresses=("[fe80::1]:11204",))
    assert "[fe80::1]:11204" in page(replace(HEALTHY, peers=(peer,)), 80)


def test_a_terminal_obeys_nothing_that_came_from_elsewhere() -> None:
    peer = replace(LOST, id="\x1b[2Jpeer\npeer-7", addresses=("\x9b31m",), reason="\u202etxet")
    finding = replace(FINDING, message="\x1b]0;title\x07\nforged", advice="\x9b31m\nforged")
    text = page(replace(HEALTHY, peers=(peer,), findings=(finding,)), 80)
    assert all(one.isprintable() or one == "\n" for one in text)
    assert not any(line.strip().startswith(("peer-7", "forged")) for line in text.split("\n"))


def test_what_is_not_known_is_left_out() -> None:
    finding = NodeFinding("error", "supervisor", "supervisor does not answer: refused")
    text = page(StatusReport(NOW, findings=(finding,)), 80)
    assert "unreachable" in text
    assert "supervisor does not answer: refused" in text


def test_json_is_as_documented() -> None:
    content = status_json(FULL, diagnose(FULL))
    assert json.loads(json.dumps(content)) == content
    assert list(content) == [
        "schema",
        "status",
        "taken_at",
        "node",
        "workers",
        "peers",
        "differing",
        "documents",
        "discovery",
        "findings",
    ]
    assert content["schema"] == 1
    assert content["status"] == "degraded"
    assert content["peers"][1] == {
        "id": "peat-mesh-2",
        "state": "connected",
        "connected": True,
        "in_sync": False,
        "behind_documents": 17,
        "out_of_sync_since": NOW - 90,
        "rtt_ms": 0.42,
        "reason": "",
        "twin": False,
        "version": "0.1.0",
        "addresses": ["127.0.0.1:11205"],
        "sources": ["mdns"],
        "neighbours": ["peat-mesh-0"],
        "connected_since": NOW - 60,
        "clock_offset": 0.25,
        "absent_since": None,
        "failing_since": None,
        "last_equal": None,
        "root": "",
        "documents": None,
        "remembered": False,
        "expected": False,
        "documents_per_second": 0.0,
        "seconds_left": None,
        "blocked_since": None,
        "deletions_paused_since": None,
        "deletions_refused": 0,
    }
    assert content["documents"]["root"] == "0123456789abcdef0123456789abcdef"


def test_json_of_a_node_that_is_not_there() -> None:
    report = StatusReport(NOW, unanswered=(NoAnswer("supervisor", "refused"),))
    content = status_json(report, diagnose(report))
    assert content["status"] == "unreachable"
    assert content["node"] is content["workers"] is content["peers"] is content["documents"] is None
