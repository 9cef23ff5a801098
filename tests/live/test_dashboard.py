"""The dashboard in headless Chromium, with a mesh of three nodes behind it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.browser import Browser, Page
from tests.support.nodes import Node, nodes

API, READ = "token-to-write-with", "token-to-read-with"


@pytest.fixture(scope="module")
def three() -> Iterator[list[Node]]:
    with nodes(3) as started:
        yield started


@pytest.fixture(scope="module")
def guarded() -> Iterator[Node]:
    with nodes(1, start=False) as (node,):
        node.settings = {"PEAT_API_TOKEN": API, "PEAT_READ_TOKEN": READ}
        node.start()
        yield node


def page_url(node: Node) -> str:
    return f"http://127.0.0.1:{node.api_port}/"


def put(node: Node, path: str, value: Any, token: str = "") -> None:
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    body = json.dumps(value).encode()
    asked = urllib.request.Request(f"{node.url}/documents/{path}", body, headers, method="PUT")
    with urllib.request.urlopen(asked, timeout=10):
        pass


def check_clean(*pages: Page) -> None:
    for page in pages:
        complaints = page.complaints()
        # a document that is about to be made is asked for, and the browser notes that it is not there
        assert [one for one in complaints if "404" not in one or "/documents/" not in one] == []
        assert page.foreign() == []


def test_the_mesh_is_drawn(three: list[Node], browser: Browser) -> None:
    page = browser.open(page_url(three[0]))
    page.see("#health", "healthy")
    page.see("#graph-text", "connected to 2 of 2 peers")
    page.see("#peers", "node-1")
    page.see("#peers", "node-2")
    page.see("#workers", "discovery")
    page.wait("document.querySelectorAll('#graph circle').length === 3")
    page.wait("document.querySelectorAll('#graph line.ok').length === 2")
    page.wait("document.querySelectorAll('#graph path.between').length === 1")
    assert page.run("return page.locator('#problems-panel').isHidden()")
    check_clean(page)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overlaps_and_nothing_is_cut_off(
    three: list[Node], browser: Browser, width: int, scheme: str
) -> None:
    put(three[0], "wide/a-document-with-quite-a-long-name-for-a-phone", {"text": "word " * 40})
    page = browser.open(
        page_url(three[0]), viewport={"width": width, "height": 844}, colorScheme=scheme
    )
    page.see("#graph-text", "connected to 2 of 2 peers")
    page.open_document("wide/a-document-with-quite-a-long-name-for-a-phone")
    page.see(".field")
    page.wait(f"document.documentElement.scrollWidth <= {width}")
    page.wait(
        """(() => {
      const texts = [...document.querySelectorAll('#graph text')].map((text) => text.getBoundingClientRect());
      const frame = document.getElementById('graph').getBoundingClientRect();
      const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top + 3 || b.bottom <= a.top + 3;
      return texts.length >= 3 && texts.every((a, i) => texts.every((b, j) => i === j || apart(a, b)))
        && texts.every((a) => a.left >= frame.left && a.right <= frame.right && a.height > 9);
    })()"""
    )
    contrast = page.run(
        "return page.evaluate(() => getComputedStyle(document.body).backgroundColor)"
    )
    assert (contrast == "rgb(18, 22, 20)") is (scheme == "dark")
    check_clean(page)


def test_an_edit_appears_in_another_browser_on_another_node(
    three: list[Node], browser: Browser
) -> None:
    here, there = browser.open(page_url(three[0])), browser.open(page_url(three[1]))
    for page in (here, there):
        page.open_document("notes/shared")
    here.run(
        "await page.fill('#add-name', 'body'); await page.selectOption('#add-kind', 'text');"
        "await page.click('#add-form button[type=submit]')"
    )
    here.run("await page.locator('textarea').first().pressSequentially('from here')")
    there.wait("document.querySelector('.field textarea')?.value === 'from here'")
    there.run(
        "await page.locator('textarea').first().press('End');"
        "await page.locator('textarea').first().pressSequentially(', and there')"
    )
    here.wait("document.querySelector('.field textarea').value === 'from here, and there'")
    here.see("#others", "One other")
    here.run(
        "await page.fill('#add-name', 'done'); await page.selectOption('#add-kind', 'value');"
        "await page.click('#add-form button[type=submit]')"
    )
    here.run(
        "await page.locator('.field').filter({ hasText: 'done' }).locator('input').fill('true')"
    )
    there.wait("document.querySelector('.field input')?.value === 'true'")
    there.run("await page.click('#json-panel summary')")
    there.see("#json", '"body": "from here, and there"')
    there.see("#json", '"done": true')
    there.see("#events", "notes/shared")
    there.see("#collections", "notes")
    here.run("await page.click('#delete')")
    there.see("#editor-state", "deleted")
    there.wait(
        "[...document.querySelectorAll('.field input, .field textarea')].every((i) => i.readOnly)"
    )
    check_clean(here, there)


def test_the_collections_keep_focus_and_show_the_current_one(
    three: list[Node], browser: Browser
) -> None:
    for number in range(40):
        put(three[0], f"list-{number:02}/a", {})
    page = browser.open(page_url(three[0]))
    page.see("#collections li[data-name=list-30]")
    page.run("await page.locator('#collections li[data-name=list-30] button').focus()")
    page.run("await page.keyboard.press('Enter')")
    page.see("#documents-title-2", "list-30")
    focused = "document.activeElement.parentNode.dataset.name"
    page.wait(f"{focused} === 'list-30'")
    put(three[1], "list-99/a", {})
    page.see("#collections li[data-name=list-99]")
    page.wait(f"{focused} === 'list-30'")
    page.open_document("list-05/a")
    page.wait(
        "document.querySelector('#collections [aria-current=true]')?.textContent === 'list-051'"
    )
    page.wait(
        "(([list, item]) => item.top >= list.top && item.bottom <= list.bottom)"
        "(['#collections', '#collections [aria-current=true]']"
        ".map((one) => document.querySelector(one).getBoundingClientRect()))"
    )


def test_values_of_any_kind_are_shown_whole(three: list[Node], browser: Browser) -> None:
    value = {
        "lines": "one\ntwo",
        "large": 2**62,
        "list": [2**62, "x"],
        "text": "שלום",
        "null": None,
    }
    put(three[0], "kinds/all", value)
    page = browser.open(page_url(three[0]))
    page.open_document("kinds/all")
    shown = "return page.locator('.field :is(input, textarea)').evaluateAll((all) => all.map((i) => i.value))"
    page.wait("document.querySelectorAll('#fields .field').length === 5")
    assert page.run(shown) == [str(2**62), '"one\\ntwo"', f'[{2**62},"x"]', "null", "שלום"]
    typed = json.dumps('"one\\ntwo!"')
    page.run(f"await page.getByLabel('lines', {{ exact: true }}).fill({typed})")
    page.run("await page.click('#json-panel summary')")
    page.see("#json", "two!")
    page.see("#json", f'"large": {2**62}')
    check_clean(page)
    with urllib.request.urlopen(f"{three[0].url}/documents/kinds/all", timeout=10) as answer:
        assert json.load(answer)["document"] == value | {"lines": "one\ntwo!"}


def test_a_peer_that_dies_is_absent_until_it_is_forgotten(browser: Browser) -> None:
    with nodes(2, start=False) as two:
        two[0].peers = []  # discovery never finds the other one
        for node in two:
            node.start()
        page = browser.open(page_url(two[0]))
        page.see("#graph-text", "connected to 1 of 1 peer")
        two[1].kill()
        page.see("#events", "node-1 disconnected")
        page.see("#peer-log", "node-1 disconnected")
        page.see("#problems", "node-1 is absent")
        page.see("#problems .advice", "peatnode peers forget node-1")
        page.see("#health", "has problems")
        page.see("#graph-text", "absent: node-1")
        page.see("#graph circle.absent")
        page.run("await page.getByRole('button', { name: 'Forget node-1' }).click()")
        page.see("#peers-state", "node-1 is forgotten")
        page.see("#peer-log", "node-1 was forgotten")
        page.see("#graph-text", "node-0 knows no peers")
        page.see("#health", "healthy")
        check_clean(page)


def test_the_page_outlives_the_processes_behind_it(browser: Browser) -> None:
    with nodes(1) as (node,):
        page = browser.open(page_url(node))
        page.open_document("notes/kept")
        node.kill()
        page.see("#health", "does not answer")
        page.see("#editor-state", "Not connected")
        page.run(
            "await page.fill('#add-name', 'offline'); await page.click('#add-form button[type=submit]')"
        )
        node.start()
        page.see("#health", "healthy")
        page.see("#editor-state", "Live")
        page.run("await page.locator('#json-panel summary').click()")
        page.see("#json", "offline")


def test_a_token_is_asked_for_and_kept_for_the_tab_only(guarded: Node, browser: Browser) -> None:
    put(guarded, "secret/one", {"a": "kept secret"}, API)
    page = browser.open(page_url(guarded))
    page.see("#token-dialog[open]")
    assert page.run("return page.evaluate(() => document.activeElement.id)") == "token"
    page.run("await page.keyboard.press('Escape')")
    page.see("#token-dialog[open]")
    page.run("await page.fill('#token', 'wrong'); await page.keyboard.press('Enter')")
    page.see("#token-error", "refused this token")
    page.run(f"await page.fill('#token', '{API}'); await page.keyboard.press('Enter')")
    page.see("#health", "healthy")
    page.open_document("secret/one")
    page.wait("document.querySelector('.field input')?.value === 'kept secret'")
    assert page.run("return page.evaluate(() => localStorage.length)") == 0
    assert page.run("return page.evaluate(() => document.cookie)") == ""
    page.run("await page.reload()")
    page.see("#health", "healthy")
    page.run("await page.click('#forget-token')")
    page.see("#token-dialog[open]")
    assert all("401" in complaint for complaint in page.complaints())


def test_a_reading_token_cannot_edit(guarded: Node, browser: Browser) -> None:
    put(guarded, "secret/two", {"a": "b"}, API)
    page = browser.open(page_url(guarded))
    page.see("#token-dialog[open]")
    page.run(f"await page.fill('#token', '{READ}'); await page.keyboard.press('Enter')")
    page.open_document("secret/two")
    page.see("#editor-state", "does not allow writes")
    page.wait("document.querySelector('.field input')?.readOnly === true")
    assert page.run("return page.locator('#delete').isDisabled()")


def test_everything_can_be_reached_by_keyboard(three: list[Node], browser: Browser) -> None:
    put(three[0], "keys/one", {"a": 1})
    page = browser.open(page_url(three[0]))
    page.see("#collections button", "keys")
    reached = page.run(
        "const seen = [];"
        "for (let i = 0; i < 60; i++) { await page.keyboard.press('Tab');"
        " seen.push(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent)); }"
        "return seen"
    )
    for what in ("Skip to content", "open-name", "keys1", "pause", "events"):
        assert what in reached, f"{what} of {reached}"
    page.run(
        "await page.locator('#collections button', { hasText: 'keys' }).focus();"
        "await page.keyboard.press('Enter');"
        "await page.locator('#documents button', { hasText: 'one' }).waitFor();"
        "await page.locator('#documents button', { hasText: 'one' }).focus();"
        "await page.keyboard.press('Enter')"
    )
    page.see("#document-title", "keys/one")
    unnamed = page.run(
        "return page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea')]"
        ".filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).map((e) => e.id))"
    )
    assert unnamed == []
    check_clean(page)
