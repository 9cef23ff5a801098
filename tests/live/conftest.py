"""Whole nodes, and the npm clients and browsers that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.browser import Browser, chromium
from tests.live.npm import installed, missing_program
from tests.live.yjs_clients import YjsClients
from tests.support.nodes import Node, nodes


@pytest.fixture(scope="session")
def npm() -> Path:
    """The folder with the npm packages."""
    missing = missing_program()
    if missing:
        pytest.skip(f"{missing} is not installed: no npm clients to test with")
    return installed()


@pytest.fixture
def clients(npm: Path) -> Iterator[YjsClients]:
    process = YjsClients(npm)
    yield process
    process.close()


@pytest.fixture
def mesh() -> Iterator[Callable[[int], list[Node]]]:
    """Starts that many nodes, connected with each other; stopped at the end of the test."""
    with ExitStack() as stack:
        yield lambda count: stack.enter_context(nodes(count))


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Node]]:
    """Two nodes for the tests of a module that end no process."""
    with nodes(2) as started:
        yield started


@pytest.fixture
def browser(npm: Path) -> Iterator[Browser]:
    program = chromium()
    if not program:
        pytest.skip("no Chromium on PATH: the dashboard is not looked at")
    process = Browser(npm, program)
    yield process
    process.close()
