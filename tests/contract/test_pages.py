"""The pages of the project name files, tests and records that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/**/DESIGN.md"))
    if path.name != "CHANGELOG.md"
)
RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))

LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(
    r"`((?:peatnode|workers|tests|chart|docs|bench|\.ci)/[\w./-]*[\w/])(?:::(test_\w+))?`"
)


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_to_files(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_files_and_tests_that_are_named_exist(page: Path) -> None:
    missing = []
    for path, test in PATH.findall(page.read_text(encoding="utf-8")):
        file = ROOT / path
        if not file.exists():
            missing.append(path)
        elif test and not re.search(rf"^(async )?def {test}\(", file.read_text(), re.MULTILINE):
            missing.append(f"{path}::{test}")
    assert not missing


def test_every_guarantee_names_a_mechanism_and_a_test() -> None:
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and "---" not in line]
    rows = [row for row in rows if not row.startswith("| promise ")]
    assert len(rows) > 20
    for row in rows:
        _, mechanism, tests = [cell.strip() for cell in row.strip("|").split("|")]
        assert mechanism, row
        assert "::test_" in tests, row


def test_records_are_numbered_dated_and_listed() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    for number, record in enumerate(RECORDS, 1):
        text = record.read_text(encoding="utf-8")
        assert record.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        assert re.search(r"^\*\*Date\*\*: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE), record.name
        for part in ("Status", "Context", "Decision", "Consequences"):
            assert f"**{part}**" in text or f"**{part}.**" in text, (record.name, part)
        assert f"]({record.name})" in index, record.name


def test_each_how_to_lists_the_files_it_touches() -> None:
    folder = ROOT / "docs" / "how-to"
    pages = sorted(folder.glob("add-*.md"))
    assert {page.stem for page in pages} >= {
        "add-a-variable",
        "add-a-metric",
        "add-a-route",
        "add-a-source",
        "add-a-worker",
    }
    index = (folder / "README.md").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for page in pages:
        assert f"]({page.name})" in index
        assert f"](docs/how-to/{page.name})" in contributing
        rows = re.findall(r"^\d+\. `([^`]+)`", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(rows) >= 2, page.name
        assert all((ROOT / row).is_file() for row in rows), page.name
