"""The seed and the order of a run, which tests may run once more, and whether a skipped test fails the run."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support import scheduling, seeds

HERE = Path(__file__).parent
ONCE_MORE = ("process", "live")
"""Real processes and real clocks on a busy machine: a failing test runs once more, with the same seed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--strict-skips", action="store_true", help="A skipped test fails the run.")


def pytest_configure(config: pytest.Config) -> None:
    seeds.run_seed()


pytest_xdist_make_scheduler = scheduling.pytest_xdist_make_scheduler


def pytest_report_header() -> str:
    return f"{seeds.VARIABLE}={seeds.run_seed()}"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Randomness of one test. A failure prints the seed of the run, which brings it back."""
    return seeds.generator(request.node.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _folder(item.path) in ONCE_MORE:
            item.add_marker(pytest.mark.flaky(reruns=1))
    items[:] = shuffled(items)


def shuffled(items: list[pytest.Item]) -> list[pytest.Item]:
    """The files in random order, and in each the tests, but for those whose tests share a running node."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    order = seeds.generator("order")
    names = sorted(files)
    order.shuffle(names)
    for path in names:
        if _folder(path) not in ONCE_MORE:
            order.shuffle(files[path])
    return [item for path in names for item in files[path]]


def _folder(path: Path) -> str:
    return path.relative_to(HERE).parts[0]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    failed = [
        report.nodeid
        for kind in ("failed", "error", "rerun")
        for report in _of(terminalreporter, kind)
    ]
    if failed:
        terminalreporter.section("to repeat")
    for nodeid in dict.fromkeys(failed):
        terminalreporter.line(f"{seeds.VARIABLE}={seeds.run_seed()} python -m pytest '{nodeid}'")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.option.strict_skips or reporter is None:
        return
    if _of(reporter, "skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _of(reporter: Any, kind: str) -> list[Any]:
    return list(reporter.stats.get(kind, ()))
