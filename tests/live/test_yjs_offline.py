"""Browsers that keep documents in IndexedDB and were offline while they were deleted: nothing comes back."""

from __future__ import annotations

import json
import os
import re
import subprocess
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.live.browser import Browser, Page
from tests.live.test_yjs import request
from tests.support.nodes import Node
from tests.support.waiting import wait

HERE = Path(__file__).parent
DOCUMENTED = HERE.parents[1] / "docs" / "yjs.md"
FENCE = re.compile(r"```js\n(?=(?:(?!```).)*4410)(.*?)```", re.DOTALL)
"""The documented page is the block of code that mentions the close code."""
SETTING = re.compile(r"^(import|const (url|room)) .*\n", re.MULTILINE)
"""The lines of it that the test replaces."""
TIMES = 20
"""Each order of copy and connection is tried as often, because which of them is quicker differs."""
ORDERS = ("copy_first", "together", "connection_first", "by_hand")

_rooms = count(1)


@pytest.fixture(scope="session")
def bundle(npm: Path) -> str:
    """`offline.mjs` and the npm packages that it imports, as one script."""
    program = npm / "node_modules" / ".bin" / "esbuild"
    command = [program, HERE / "offline.mjs", "--bundle", "--format=iife", "--global-name=offline"]
    environment = {**os.environ, "NODE_PATH": str(npm / "node_modules")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


class OfflinePage:
    """A page of a node's own origin, whose IndexedDB outlives it."""

    def __init__(self, browser: Browser, node: Node, bundle: str) -> None:
        self._url = f"{node.url}/health"
        self.socket = "ws" + node.url.removeprefix("http") + "/yjs"
        self._page: Page = browser.open(self._url, bypassCSP=True)
        script = f"{bundle};window.offline = offline"
        self._page.run(f"await page.addInitScript({{ content: {json.dumps(script)} }})")

    def load(self) -> None:
        self._page.run(f"await page.goto('{self._url}')")

    def call(self, function: str, *arguments: Any) -> Any:
        """A function of `offline.mjs`."""
        code = f"offline.{function}({', '.join(map(json.dumps, arguments))})"
        return self._page.run(f"return await page.evaluate({json.dumps(code)})")

    def wait_synced(self, loads: int) -> None:
        """Waits until the documented page, loaded for that time, holds what the node and IndexedDB have."""
        condition = (
            f"sessionStorage.loads === '{loads}' && window.page"
            " && page.provider.synced && page.persistence.synced"
        )
        self._page.run(f"await page.waitForFunction({json.dumps(condition)})")

    def look(self, expression: str) -> Any:
        return self._page.run(f"return await page.evaluate({json.dumps(expression)})")


@pytest.fixture
def page(browser: Browser, pair: list[Node], bundle: str) -> OfflinePage:
    return OfflinePage(browser, pair[0], bundle)


def edited_offline(page: OfflinePage, number: int) -> list[str]:
    """Documents that the page has edited and keeps in IndexedDB."""
    page.load()
    rooms = [f"offline/doc-{next(_rooms)}" for _ in range(number)]
    together = ", ".join(f"offline.edit({page.socket!r}, {room!r})" for room in rooms)
    page.look(f"Promise.all([{together}])")
    return rooms


def held(node: Node, room: str) -> Any:
    """The document's JSON; None if there is no such document."""
    try:
        return request(node, "GET", f"/documents/{room}")["document"]
    except HTTPError as error:
        return None if error.code == 404 else error.code


def delete(pair: list[Node], rooms: list[str]) -> None:
    for room in rooms:
        request(pair[1], "DELETE", f"/documents/{room}")
    for room in rooms:
        wait(lambda room=room: held(pair[0], room) is None, "the deletion on both")


@pytest.mark.parametrize("order", ORDERS)
def test_an_offline_copy_never_brings_a_deleted_document_back(
    pair: list[Node], page: OfflinePage, order: str
) -> None:
    rooms = edited_offline(page, TIMES)
    delete(pair, rooms)
    codes = []
    for room in rooms:
        page.load()
        codes.append(page.call("open", order, page.socket, room))
    assert codes == [4410] * TIMES
    assert [held(node, room) for room in rooms for node in pair] == [None] * 2 * TIMES


@pytest.mark.parametrize("order", ORDERS)
def test_an_offline_copy_does_not_mix_with_a_document_that_was_written_again(
    pair: list[Node], page: OfflinePage, order: str
) -> None:
    rooms = edited_offline(page, 5)
    delete(pair, rooms)
    for room in rooms:
        request(pair[1], "PUT", f"/documents/{room}", {"new": True})
    for room in rooms:
        wait(lambda room=room: held(pair[0], room) == {"new": True}, "the new document")
        page.load()
        assert page.call("open", order, page.socket, room) == 4410
    assert [held(node, room) for room in rooms for node in pair] == [{"new": True}] * 10


def test_the_documented_page_starts_again_after_a_deletion(
    pair: list[Node], page: OfflinePage
) -> None:
    """Once it finds out when it comes back with an old copy, once while it is open."""
    (found,) = FENCE.findall(DOCUMENTED.read_text(encoding="utf-8"))
    room = f"offline/doc-{next(_rooms)}"
    path = f"/documents/{room}"
    page.load()
    page.call("document", SETTING.sub("", found), page.socket, room)
    page.load()
    page.wait_synced(1)
    page.look("page.doc.getMap('root').set('/old', 1)")
    wait(lambda: held(pair[1], room) == {"old": 1}, "the edit")
    page.look("page.provider.disconnect()")
    page.look("page.doc.getMap('root').set('/offline', 1)")
    page.call("stored")
    request(pair[1], "DELETE", path)
    wait(lambda: held(pair[0], room) is None, "the deletion")
    page.load()
    page.wait_synced(3)
    assert page.look("page.doc.getMap('root').size") == 0
    page.look("page.doc.getMap('root').set('/new', 1)")
    for node in pair:
        wait(lambda node=node: held(node, room) == {"new": 1}, "the new document")
    request(pair[1], "DELETE", path)
    page.wait_synced(4)
    assert page.look("page.doc.getMap('root').size") == 0
    assert held(pair[0], room) is None
