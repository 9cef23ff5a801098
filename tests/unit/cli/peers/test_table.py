import io
from collections.abc import Iterable
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from peatnode.cli.peers.log_table import peer_log_table
from peatnode.cli.peers.table import clock_text, peers_table, state_text, summary_lines, sync_text
from peatnode.client.models import Peer, PeerLogEntry, Peers
from tests.support.reports import LATE, LOST, NOW, PEER

ABSENT = replace(
    LOST,
    id="peat-mesh-4",
    state="absent",
    is_remembered=True,
    absent_since=NOW - 3 * 3600,
    failing_since=NOW - 120,
    last_equal=NOW - 4 * 3600,
)

JOINING = replace(
    LATE, id="peat-mesh-5", documents=100_014, documents_per_second=5200.4, seconds_left=10.2
)

NEVER = Peer(id="peat-mesh-6", state="absent", is_expected=True)


def page(parts: Iterable[RenderableType], width: int) -> str:
    out = io.StringIO()
    screen = Console(file=out, width=width, highlight=False)
    for part in parts:
        screen.print(part)
    return out.getvalue()


@pytest.mark.parametrize(
    ("peer", "state", "sync"),
    [
        (PEER, "connected", "in sync"),
        (LATE, "connected", "17 differ for 1 min 30 s"),
        (replace(LATE, behind_documents=None), "connected", "comparing for 1 min 30 s"),
        (JOINING, "connected", "49,391 of 100,014, 5,200/s, 10 s left"),
        (replace(JOINING, seconds_left=None), "connected", "49,391 of 100,014, 5,200/s"),
        (replace(JOINING, documents=49_391), "connected", "17 differ, 5,200/s, 10 s left"),
        (replace(JOINING, documents_per_second=0.0), "connected", "17 differ for 1 min 30 s"),
        (LOST, "waiting", "out of sync for 6 min 40 s"),
        (ABSENT, "absent 3 h", "equal 4 h ago"),
        (
            replace(ABSENT, last_equal=None, out_of_sync_since=None),
            "absent 3 h",
            "never equal",
        ),
        (NEVER, "never seen", "–"),
    ],
)
def test_the_state_of_a_peer(peer: Peer, state: str, sync: str) -> None:
    assert state_text(peer, NOW).plain == state
    assert sync_text(peer, 49_391, NOW).plain == sync


@pytest.mark.parametrize(
    ("offset", "shown"),
    [(None, "–"), (0.4, "equal"), (7200.0, "2 h ahead"), (-90.0, "1 min 30 s behind")],
)
def test_the_clock_of_a_peer(offset: float | None, shown: str) -> None:
    assert clock_text(replace(PEER, clock_offset=offset)).plain == shown
    assert clock_text(replace(LOST, clock_offset=offset)).plain == "–"


def test_the_number_of_documents_may_be_unknown() -> None:
    assert sync_text(JOINING, None, NOW).plain == "17 differ for 1 min 30 s"


ALL = (PEER, LATE, LOST, ABSENT, JOINING, NEVER)


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_peers_fit_the_terminal(width: int) -> None:
    table = peers_table(ALL, 49_391, NOW, width)
    lines = page([table, *summary_lines(Peers(ALL), NOW)], width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width


def test_a_narrow_terminal_tells_who_is_absent() -> None:
    text = page([peers_table(ALL, 49_391, NOW, 60)], 60)
    assert "peat-mesh-4  absent 3 h  equal 4 h ago" in text


def test_what_is_said_of_all_of_them() -> None:
    peers = Peers((PEER, ABSENT), expected=3, missing=("peat-mesh-4", "peat-mesh-6"))
    assert [line.plain for line in summary_lines(peers, NOW)] == [
        "1 of 2 peers connected, 1 in sync; 3 expected",
        "missing: peat-mesh-4, peat-mesh-6",
        "peat-mesh-4 cannot be reached for 2 min: no answer to the handshake within 10 s",
    ]
    (alone,) = summary_lines(Peers((PEER,)), NOW)
    assert (alone.plain, alone.style) == ("1 of 1 peer connected, 1 in sync", "")
    (fewer,) = summary_lines(Peers((PEER,), expected=2), NOW)
    assert fewer.style == "yellow"


def test_a_terminal_obeys_no_name() -> None:
    bad = replace(
        ABSENT, id="\x1b[2Jpeer\nforged", state="\x1b[0m\nforged", reason="\x1b]0;\nforged"
    )
    entry = PeerLogEntry(NOW, "\x1b[2Jpeer\nforged", "\x1b[1m\nforged", "\x9b31m\nforged")
    peers = Peers((bad,), missing=("\x1b[2Jpeer\nforged",))
    shown = [peers_table(peers, None, NOW, 80), *summary_lines(peers, NOW)]
    text = page([*shown, peer_log_table([entry], 80)], 80)
    assert all(one.isprintable() or one == "\n" for one in text)
    assert not any(line.strip().startswith("forged") for line in text.split("\n"))


def test_no_peers_and_no_events() -> None:
    assert "No peers are known yet." in page([peers_table((), None, NOW, 80)], 80)
    assert "Nothing has happened yet." in page([peer_log_table((), 80)], 80)


@pytest.mark.parametrize("width", [60, 120])
def test_events(width: int) -> None:
    entries = [
        PeerLogEntry(NOW - 60, "peat-mesh-1", "connected", "[fe80::1]:11204"),
        PeerLogEntry(NOW, "peat-mesh-1", "newer-kind", ""),
    ]
    lines = page([peer_log_table(entries, width)], width).splitlines()
    assert [line.split()[-4:] for line in lines[:1]] == [["TIME", "peer", "event", "detail"]]
    assert lines[1].split()[-3:] == ["peat-mesh-1", "connected", "[fe80::1]:11204"]
    assert lines[2].split()[-2:] == ["peat-mesh-1", "newer-kind"]
    assert max(len(line.rstrip()) for line in lines) <= width
