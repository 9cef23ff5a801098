"""How the source is laid out and named: what a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.source import ROOT, docstring, modules, syntax

MOST_MODULES = 12
REFUSED_NAMES = {"utils", "helpers", "common", "misc", "base", "manager", "core"}

SAME_NAME: dict[str, str] = {
    "PeerConnected": "an event of the client, and of the link",
    "PeerDisconnected": "an event of the client, and of the link",
    "TopologyChanged": "an event of the client, and of the link",
}
"""Classes of one name in several modules, each with its reason."""

DIALECT = re.compile(
    r"(?<![a-z])(mend(s|ed|ing)?|afar|ails?|is told by|that are so|turns it round|whoever chooses|goes before the)"
    r"(?![a-z])|beside (the|a|its|this) node|_beside|beside_",
    re.IGNORECASE,
)
ON_DISK = re.compile(r"store\.mending|[\"`]mended[\"`]")
"""A folder's name, and the name of a problem in machine-readable output: these stay."""


def packages() -> dict[str, Path]:
    return {name: path for name, path in modules().items() if path.name == "__init__.py"}


def test_a_folder_has_at_most_twelve_modules() -> None:
    counts: dict[str, int] = defaultdict(int)
    for path in modules().values():
        if path.name not in ("__init__.py", "__main__.py"):
            counts[str(path.parent.relative_to(ROOT))] += 1
    full = {folder for folder, count in counts.items() if count > MOST_MODULES}
    assert not full, "split it by what belongs together"


def test_lines_end_with_a_line_feed_only() -> None:
    """`str.splitlines`, and httpx with it, also splits inside of JSON texts, names of files and mount points."""
    refused = {"splitlines", "iter_lines", "aiter_lines"}
    found = {
        name
        for name, path in modules().items()
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Attribute) and node.attr in refused
    }
    assert not found, r'use split("\n")'


def test_no_module_is_a_drawer() -> None:
    found = {name for name in modules() if name.split(".")[-1].strip("_") in REFUSED_NAMES}
    assert not found, "name it for what it holds"


def test_a_package_says_what_lives_there_and_what_may_enter() -> None:
    short = {name for name, path in packages().items() if sentences(docstring(path)) < 2}
    assert not short, "its __init__ needs a docstring of two sentences"


def sentences(text: str) -> int:
    return len(re.findall(r"[.!?](?=\s|$)", text))


def test_a_class_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for name, path in modules().items():
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(name)
    same = {name: found for name, found in places.items() if len(set(found)) > 1}
    new = {name: found for name, found in same.items() if name not in SAME_NAME}
    assert not new, "two classes of one name: rename one, or give the reason in SAME_NAME"
    assert not set(SAME_NAME) - set(same), "no longer twice: take it out of SAME_NAME"


def texts() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    mine = str(Path(__file__).relative_to(ROOT))
    return [name for name in listed.stdout.split() if name not in ("CHANGELOG.md", mine)]


def test_prose_is_plain() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name in texts()
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if DIALECT.search(ON_DISK.sub("", line))
    ]
    assert not found, "repaired, remote, local; subject first"


@pytest.mark.parametrize(
    "line",
    [
        "the log is mended at the next start",
        "def inspect_afar(target):",
        "what ails the disk",
        "documents, beside the node or not",
        "- before one turns it round",
    ],
)
def test_the_old_words_are_found(line: str) -> None:
    assert DIALECT.search(line)


@pytest.mark.parametrize(
    "line", ["amended", "it fails", "emails", "recommended", "the reason beside the pin"]
)
def test_other_words_are_not(line: str) -> None:
    assert not DIALECT.search(line)


def test_the_unit_tests_mirror_the_source() -> None:
    lost = []
    for path in sorted((ROOT / "tests/unit").rglob("test_*.py")):
        folder = path.parent.relative_to(ROOT / "tests/unit")
        package = ROOT / folder if folder.parts[:1] == ("workers",) else ROOT / "peatnode" / folder
        if not (package / "__init__.py").is_file():
            lost.append(str(path.relative_to(ROOT)))
    assert not lost, "a unit test stands where its package does"
