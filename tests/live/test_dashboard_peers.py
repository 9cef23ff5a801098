"""What the dashboard shows of absent, expected and joining peers, mostly before an API of fixed answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from peatnode.ipc.messages import PeerState
from peatnode.model.states import PeerStatus
from tests.live.browser import Browser, Page
from tests.live.page_stub import PageStub, absent_peer, peer

HOUR = 3600.0
Show = Callable[..., PageStub]


@pytest.fixture
def show() -> Iterator[Show]:
    """Serves the dashboard of a node with these peers."""
    opened: list[PageStub] = []

    def open_stub(*peers: PeerState, documents: int = 4) -> PageStub:
        opened.append(PageStub(peers, documents))
        return opened[-1]

    yield open_stub
    for stub in opened:
        stub.close()


def names_of(page: Page, selector: str) -> list[str]:
    found: list[str] = page.run(f"return page.locator({json.dumps(selector)}).allTextContents()")
    return [name.strip() for name in found]


def row(page: Page, name: str) -> str:
    """The text of a peer's row."""
    named = f"page.getByText({json.dumps(name)}, {{ exact: true }})"
    found: str = page.run(f"return page.locator('#peers tr', {{ has: {named} }}).innerText()")
    return found


def test_absent_and_expected_peers_are_drawn(show: Show, browser: Browser) -> None:
    away = absent_peer("peat-mesh-2", 3.2 * HOUR, reason="no answer from 10.0.0.7:11204")
    never = absent_peer("peat-mesh-3", 0, absent_since=0.0, last_equal=0.0, is_expected=True)
    stub = show(peer("peat-mesh-1"), away, never)
    page = browser.open(stub.url)
    page.wait("document.querySelectorAll('#graph circle.absent').length === 2")
    page.wait("document.querySelectorAll('#graph line.absent').length === 2")
    dashes = "getComputedStyle(document.querySelector('#graph circle.absent')).strokeDasharray"
    page.wait(f"{dashes} !== 'none'")
    page.see("#graph-text", "connected to 1 of 3 peers")
    page.see("#graph-text", "absent: peat-mesh-2; expected, but never seen: peat-mesh-3")
    assert "absent since" in row(page, "peat-mesh-2")
    assert "3 h 12 min" in row(page, "peat-mesh-2")
    assert "last equal" in row(page, "peat-mesh-2")
    assert "no answer from 10.0.0.7:11204" in row(page, "peat-mesh-2")
    assert "expected, never seen" in row(page, "peat-mesh-3")
    titles = names_of(page, "#graph circle.absent title")
    assert any("absent since" in title and "last equal" in title for title in titles)
    stub.show((peer("peat-mesh-1"), peer("peat-mesh-2"), never), 4)
    page.wait("document.querySelectorAll('#graph circle.absent').length === 1")
    assert "connected" in row(page, "peat-mesh-2")
    assert page.complaints() == []


def test_joining_has_a_bar_and_a_sentence(show: Show, browser: Browser) -> None:
    behind: dict[str, Any] = {"is_in_sync": False, "behind_documents": 50623, "documents": 100014}
    stub = show(
        peer("peat-mesh-1", documents_per_second=5200.4, seconds_left=9.7, **behind),
        peer("peat-mesh-2", **behind),
        documents=49391,
    )
    page = browser.open(stub.url)
    words = "49,391 of 100,014 documents, 5,200/s, about 10 s left"
    page.see("#joining", f"Fetching from peat-mesh-1: {words}")
    page.wait("document.getElementById('joining-bar').position.toFixed(3) === '0.494'")
    assert f"fetching: {words}" in row(page, "peat-mesh-1")
    assert "has 100,014 documents, this node 49,391" in row(page, "peat-mesh-2")
    page.wait("document.querySelectorAll('#peers progress:not([hidden])').length === 2")
    stub.show((peer("peat-mesh-1", **behind), peer("peat-mesh-2", **behind)), 49391)
    page.see("#joining", "This node has 49,391 of 100,014 documents")
    stub.show((peer("peat-mesh-1"), peer("peat-mesh-2")), 100014)
    page.wait("document.getElementById('joining').hidden")
    page.wait("document.querySelectorAll('#peers progress:not([hidden])').length === 0")


def test_a_peer_that_joins_has_a_bar_too(show: Show, browser: Browser) -> None:
    joining = peer("peat-mesh-1", is_in_sync=False, behind_documents=-1, documents=49391)
    page = browser.open(show(joining, documents=100014).url)
    page.see("#peers", "has 49,391 of 100,014 documents")
    page.wait("document.querySelector('#peers progress').position.toFixed(3) === '0.494'")
    assert page.run("return page.locator('#joining').isHidden()")


def test_a_few_documents_that_differ_are_no_join(show: Show, browser: Browser) -> None:
    writing = peer("peat-mesh-1", is_in_sync=False, behind_documents=1, documents=100014)
    page = browser.open(show(writing, documents=100013).url)
    page.see("#peers", "1 document differs")
    assert page.run("return page.locator('#joining').isHidden()")
    assert page.run("return page.locator('#peers progress').isHidden()")


@pytest.mark.parametrize(
    ("severity", "health", "title", "color"),
    [
        ("error", "has problems", "Problems", "bad"),
        ("degraded", "has problems", "Problems", "warn"),
        ("notice", "healthy", "Notices", "ok"),
    ],
)
def test_findings_are_those_of_the_node(
    show: Show, browser: Browser, severity: str, health: str, title: str, color: str
) -> None:
    stub = show(peer("peat-mesh-1"))
    stub.find(
        severity, "peer peat-mesh-2", "peat-mesh-2 is absent for 3 h.", "Start it. `peatnode peers`"
    )
    page = browser.open(stub.url)
    page.see("#health", health)
    page.see(f"#health.{color}")
    page.see("#problems-title", title)
    page.see("#problems strong", "peat-mesh-2 is absent for 3 h.")
    page.see("#problems .advice", "Start it.")
    page.see("#problems .advice code", "peatnode peers")
    page.see("#problems .where", "peer peat-mesh-2")
    page.wait("document.querySelectorAll('#problems li').length === 1")
    said = "document.getElementById('problems-said').textContent"
    page.wait(f"{said} === 'peat-mesh-2 is absent for 3 h.'")
    stub.answers["/ready"]["findings"][0]["message"] = "peat-mesh-2 is absent for 4 h."
    page.see("#problems strong", "for 4 h")
    page.wait(f"{said} === 'peat-mesh-2 is absent for 3 h.'")  # it is not said again
    stub.answers["/ready"]["findings"].clear()
    page.wait("document.getElementById('problems-panel').hidden")


def test_a_failing_check_is_shown_without_a_finding(show: Show, browser: Browser) -> None:
    stub = show(peer("peat-mesh-1"))
    failing = {"name": "store", "ready": False, "message": "the disk is full"}
    stub.answers["/ready"] |= {"ready": False, "checks": [failing]}
    page = browser.open(stub.url)
    page.see("#health", "not ready")
    page.see("#problems li.bad", "the disk is full")


def test_an_absent_peer_is_forgotten_after_a_question(show: Show, browser: Browser) -> None:
    stub = show(peer("peat-mesh-1"), absent_peer("peat-mesh-2", HOUR))
    page = browser.open(stub.url)
    button = "page.getByRole('button', { name: 'Forget peat-mesh-2' })"
    page.run(f"await {button}.waitFor()")
    assert page.run("return page.locator('#peers button:visible').count()") == 1
    page.run(
        "page.removeAllListeners('dialog'); page.asked = [];"
        "page.on('dialog', (d) => { page.asked.push(d.message()); d.dismiss(); })"
    )
    page.run(f"await {button}.click()")
    (question,) = page.run("return page.asked")
    assert question.startswith("Forget peat-mesh-2, here and on all nodes")
    assert stub.requests == []
    page.run("page.removeAllListeners('dialog'); page.on('dialog', (d) => d.accept())")
    stub.answers["DELETE /api/v1/peers/peat-mesh-2"] = (403, {"detail": "This token may only read."})  # fmt: skip
    page.run(f"await {button}.click()")
    page.see("#peers-state", "peat-mesh-2 is not forgotten: This token may only read.")
    del stub.answers["DELETE /api/v1/peers/peat-mesh-2"]
    stub.show((peer("peat-mesh-1"),), 4)
    page.run(f"await {button}.press('Enter')")
    page.see("#peers-state", "peat-mesh-2 is forgotten.")
    page.wait("document.querySelectorAll('#peers tr').length === 1")
    assert stub.requests == ["DELETE /api/v1/peers/peat-mesh-2"] * 2


def test_a_row_keeps_the_focus_while_its_text_changes(show: Show, browser: Browser) -> None:
    stub = show(peer("peat-mesh-1"), absent_peer("peat-mesh-2", 100))
    page = browser.open(stub.url)
    page.run("await page.getByRole('button', { name: 'Forget peat-mesh-2' }).focus()")
    states = (absent_peer("peat-mesh-0", 10), peer("peat-mesh-1"), absent_peer("peat-mesh-2", 7400))
    stub.show(states, 4)
    page.see("#peers", "2 h 3 min")
    page.wait("document.querySelectorAll('#peers tr').length === 3")
    label = "document.activeElement.getAttribute('aria-label')"
    page.wait(f"{label} === 'Forget peat-mesh-2'")


def test_the_peer_log_has_times_and_reasons(show: Show, browser: Browser) -> None:
    stub = show(peer("peat-mesh-1"))
    times = [time.time() - 3 * 24 * HOUR, time.time() - 60]
    kinds = ("disconnected", "failed")
    stub.answers["/peer-log"]["events"] = [
        {"time": at, "peer": "peat-mesh-2", "kind": kind, "detail": "idle timeout"}
        for at, kind in zip(times, kinds, strict=True)
    ]
    page = browser.open(stub.url, locale="en-GB")
    page.see("#peer-log", "peat-mesh-2 cannot be reached: idle timeout")
    first, second = names_of(page, "#peer-log li")
    assert "cannot be reached" in first
    assert "peat-mesh-2 disconnected: idle timeout" in second
    today, earlier = names_of(page, "#peer-log time")
    assert len(today) == len("14:03:10")
    assert len(earlier) == len("24/11/2026 14:03:10")
    stub.answers["/peer-log"]["events"] = []
    page.see("#no-peer-log", "No peer has come or gone yet.")


def test_clocks_that_are_off_are_shown(show: Show, browser: Browser) -> None:
    right = peer("peat-mesh-1", is_clock_known=True, clock_offset=-4.9)
    ahead = peer("peat-mesh-2", is_clock_known=True, clock_offset=12.4)
    behind = peer("peat-mesh-3", is_clock_known=True, clock_offset=-7300.0)
    stub = show(right, ahead, behind)
    stub.answers["/peers"]["clock"]["offset_seconds"] = 12.4
    page = browser.open(stub.url)
    page.see("#peers", "clock 12.4 s ahead")
    assert "clock" not in row(page, "peat-mesh-1")
    assert "clock 12.4 s ahead" in row(page, "peat-mesh-2")
    assert "clock 2 h 1 min behind" in row(page, "peat-mesh-3")
    page.see("#facts", "clock12.4 s ahead")


def test_times_are_those_of_the_node(show: Show, browser: Browser) -> None:
    """The clock of the browser's machine may be another one."""
    stub = show(absent_peer("peat-mesh-2", 600))
    page = browser.open(stub.url)
    page.see("#peers", "(10 min)")
    page.run(
        "await page.addInitScript(() => { const now = Date.now; Date.now = () => now() + 7200000; });"
        "await page.reload()"
    )
    page.see("#peers", "(10 min)")
    page.wait("Date.now() - new Date().getTime() > 7000000")


def test_peers_have_names_and_no_instances(show: Show, browser: Browser) -> None:
    twins = [
        peer("peat-mesh-1", is_twin=True, instance=f"{n}f" * 16, addresses=(f"10.0.0.{n}:11204",))
        for n in (1, 2)
    ]
    page = browser.open(show(*twins, peer("peat-mesh-2"), absent_peer("peat-mesh-3", 60)).url)
    page.see("#peers", "identity used twice, at 10.0.0.2:11204")
    page.wait("document.querySelectorAll('#peers tr').length === 4")
    text = page.run("return page.locator('main').innerText()")
    for instance in ("1f1f1f1f", "2f2f2f2f", peer("peat-mesh-2").instance[-8:]):
        assert instance not in text


@pytest.mark.parametrize("width", [390, 1280])
def test_a_thousand_peers_can_be_used(show: Show, browser: Browser, width: int) -> None:
    others = tuple(f"peat-mesh-{number}" for number in range(30))
    here = [peer(name, neighbours=others) for name in others]
    away = [absent_peer(f"laptop-{n}", 60.0 + n, reason="no answer") for n in range(970)]
    stub = show(*here, *away)
    page = browser.open(stub.url, viewport={"width": width, "height": 844})
    page.see("#graph-text", "connected to 30 of 1,000 peers")
    page.see("#graph-text", "laptop-4 and 965 more")
    page.see("#peers-note", "30 of 1,000 peers are shown.")
    page.wait("document.querySelectorAll('*').length < 1000")
    page.wait("document.querySelectorAll('#graph circle').length <= 41")
    page.wait("document.querySelector('#graph circle.more') !== null")
    page.wait(f"document.documentElement.scrollWidth <= {width}")
    page.wait(
        """(() => {
      const texts = [...document.querySelectorAll('#graph text')].map((text) => text.getBoundingClientRect());
      const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top + 3 || b.bottom <= a.top + 3;
      return texts.length >= 5 && texts.every((a, i) => texts.every((b, j) => i === j || apart(a, b)));
    })()"""
    )
    page.run("await page.fill('#peer-filter', 'TOP-777')")
    page.wait("document.querySelectorAll('#peers tr').length === 1")
    assert "absent since" in row(page, "laptop-777")
    page.run("await page.fill('#peer-filter', '')")
    page.run("await page.click('#more-peers')")
    page.see("#peers-note", "120 of 1,000 peers are shown.")
    page.run("await page.click('#fewer-peers')")
    page.see("#peers-note", "30 of 1,000 peers are shown.")
    broken = peer("zz-late", is_connected=False, state=PeerStatus.WAITING, is_in_sync=False)
    stub.show((*here, *away, broken), 4)
    page.wait(
        "document.querySelector('#peers th').textContent === 'zz-late'"
    )  # it is the first row
    page.wait("document.querySelectorAll('#graph circle.bad').length === 1")
    assert page.complaints() == []


def test_blocked_peers_and_paused_deletions_are_shown(show: Show, browser: Browser) -> None:
    blocked = absent_peer(
        "peat-mesh-2",
        HOUR,
        state=PeerStatus.BLOCKED,
        absent_since=0.0,
        blocked_since=time.time() - HOUR,
        reason="an operator of this node has blocked it: it deletes",
    )
    since = time.time() - 60
    paused = peer(
        "peat-mesh-1", is_in_sync=False, deletions_paused_since=since, deletions_refused=15_000
    )
    page = browser.open(show(paused, blocked).url)
    page.see("#graph-text", "blocked here: peat-mesh-2; deletions paused: peat-mesh-1")
    assert "blocked since" in row(page, "peat-mesh-2")
    assert "it deletes" in row(page, "peat-mesh-2")
    assert "deletions paused, 15,000 documents kept" in row(page, "peat-mesh-1")
    assert page.complaints() == []


def test_an_address_of_this_node_is_no_peer_that_cannot_be_reached(
    show: Show, browser: Browser
) -> None:
    ourselves = absent_peer(
        "peat-mesh-3",
        0,
        state=PeerStatus.OURSELVES,
        absent_since=0.0,
        last_equal=0.0,
        reason="its addresses lead to this node itself",
    )
    differing = peer("peat-mesh-1", is_in_sync=False, behind_documents=0)
    stub = show(differing, ourselves)
    kinds = ("blocked", "unblocked", "paused", "allowed")
    stub.answers["/peer-log"]["events"] = [
        {"time": time.time(), "peer": "peat-mesh-2", "kind": kind, "detail": ""} for kind in kinds
    ]
    page = browser.open(stub.url)
    page.see("#graph-text", "leading to this node itself: peat-mesh-3")
    page.wait("document.querySelectorAll('#graph circle.absent').length === 1")
    assert "this node itself" in row(page, "peat-mesh-3")
    assert "differs" in row(page, "peat-mesh-1")
    assert "0 documents" not in row(page, "peat-mesh-1")
    page.see("#peer-log", "peat-mesh-2 was blocked")
    assert [text.partition("peat-mesh-2 ")[2] for text in names_of(page, "#peer-log li")] == [
        "may delete again",
        "deleted too many documents: its deletions are paused",
        "is no longer blocked",
        "was blocked",
    ]
    assert page.complaints() == []
