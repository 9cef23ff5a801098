"""What a text tells people to run, set, ask or read exists: commands, variables, routes, make targets and pages.

The texts are all strings of the source, the pages that the node serves, the chart, and the documentation.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import click
import pytest

from peatnode.cli.commands import cli
from peatnode.config import VARIABLES
from workers.broker.openapi.description import build_description

ROOT = Path(__file__).parents[2]

BLANK = "…"
"""Stands for what is filled in at run time."""

LABEL = re.compile(r"\w+ [\d…]")
"""In hashes and proofs: `peatnode client 1`."""

PROSE = {"is", "needs"}
"""Words that follow the name of the program at the start of a sentence."""

ELSEWHERE = {"PEAT_URL", "PEAT_SEED"}
"""Variables of the command line and of the tests that are not in the table of those of a node."""


def texts() -> Iterator[tuple[str, str]]:
    """All texts, each with its place."""
    for folder in ("peatnode", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, text in strings(ast.parse(path.read_text())):
                yield f"{path.relative_to(ROOT)}:{line}", text
    for path in sorted(pages()):
        for line, text in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{line}", text


def pages() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    found = (ROOT / "docs").rglob("*.md")
    yield from (page for page in found if page.parent.name != "adr")  # they name what was rejected
    for pattern in ("*.html", "*.js"):
        served = (ROOT / "workers/broker/pages").rglob(pattern)
        yield from (path for path in served if path.name != "yjs.js")
    for pattern in ("*.md", "values.*", "templates/*", "dashboards/*"):
        yield from (path for path in (ROOT / "chart").glob(pattern) if path.is_file())


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each string once; what an f-string fills in is a blank."""
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(id(part) for part in ast.walk(node) if part is not node)
            yield node.lineno, "".join(constant(part) or BLANK for part in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in inner and constant(node):
            yield node.lineno, constant(node)


def constant(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


# --- commands


def commands(text: str) -> Iterator[str]:
    """The arguments of `peatnode` in a text: between quotes, in a line of a script, or after `kubectl exec`."""
    before = r"(?:`|-- |^\s*|<code>|\"|[\w)]: )"
    for found in re.finditer(before + r"peatnode ([a-z][^`\n|>)<#,\"]*)", text, re.MULTILINE):
        if not LABEL.match(found[1]) and found[1].split()[0] not in PROSE:
            yield found[1]


def wrong_in(arguments: str) -> str:
    """Why `peatnode` with these arguments does not exist; empty: it does."""
    command: click.Command = cli
    context = click.Context(cli)
    words = iter(arguments.split())
    for word in words:
        if re.match("--?[a-z]", word):
            name, _, value = word.partition("=")
            option = next((p for p in command.params if name in (*p.opts, *p.secondary_opts)), None)
            if option is None and name != "--help":
                return f"{command.name} has no option {name}"
            if isinstance(option, click.Option) and not option.is_flag and not value:
                next(words, "")
        elif isinstance(command, click.Group):
            known = command.get_command(context, word)
            if known is None:
                return f"{command.name} has no command {word}"
            command, context = known, click.Context(known, parent=context)
        elif not takes_arguments(command):
            return f"{command.name} takes no argument {word}"
    return ""


def takes_arguments(command: click.Command) -> bool:
    return any(isinstance(parameter, click.Argument) for parameter in command.params)


# --- everything else


@cache
def variables() -> frozenset[str]:
    found = {name for variable in VARIABLES for name in (variable.name, *variable.aliases)}
    found |= {f"{variable.name}_FILE" for variable in VARIABLES if variable.has_file}
    for path in (ROOT / "tests").rglob("*.py"):
        found.update(re.findall(r"environ(?:\.get\(|\[)\"(PEAT_\w+)\"", path.read_text()))
    return frozenset(found | ELSEWHERE)


@cache
def targets() -> frozenset[str]:
    files = [ROOT / "Makefile", *ROOT.glob("*/*.mk")]
    rules = [re.findall(r"^([a-z][\w %-]*):", file.read_text(), re.MULTILINE) for file in files]
    return frozenset(target for found in rules for rule in found for target in rule.split())


@cache
def routes() -> tuple[list[str], ...]:
    described = build_description()["paths"]
    return tuple([re.sub(r"\{\w+\}", "*", path).split("/") for path in described])


def is_route(path: str) -> bool:
    """Whether it is a route, or the beginning of one."""
    parts = path.split("/")
    return any(
        len(parts) <= len(route) and all(map(fnmatchcase, parts, route)) for route in routes()
    )


def faults(text: str) -> Iterator[str]:
    for arguments in commands(text):
        if wrong := wrong_in(arguments):
            yield f"`peatnode {arguments}`: {wrong}"
    for name in re.findall(r"\bPEAT_[A-Z0-9_]*[A-Z0-9]\b", text):
        if name not in variables():
            yield f"no variable {name}"
    for path in re.findall(r"/api/v1(?:/[\w${}…-]+(?:\.\w+}?)*)*", text):
        if not is_route(path):
            yield f"no route {path}"
    for target in re.findall(r"`make ([a-z][\w-]*)", text):
        if not any(fnmatchcase(target, rule.replace("%", "?*")) for rule in targets()):
            yield f"no target {target} in the Makefile"
    for page in re.findall(r"(?<![\w/.])docs/[\w/-]+\.md", text):
        if not (ROOT / page).is_file():
            yield f"no page {page}"


def test_what_texts_tell_people_to_use_exists() -> None:
    assert [f"{place}: {fault}" for place, text in texts() for fault in faults(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "`peatnode diff` lists the documents.",
        "`peatnode doc differ` lists the documents.",
        "`peatnode conflicts show --all`",
        "`peatnode version now`",
        "`peatnode peers forgive peat-mesh-3`",
        "`peatnode status --uri x`",
        "    peatnode doc list devices --wher a=1",
        "kubectl exec mesh-0 -- peatnode state",
        "Set PEAT_TOKEN_FILE.",
        "GET /api/v1/differences lists them.",
        "GET /api/v1/peers/${peer.id}/documents lists them.",
        "run `make nodes`",
        "see docs/differences.md",
    ],
)
def test_what_does_not_exist_is_found(text: str) -> None:
    assert len(list(faults(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "peatnode needs Linux: run `make mesh`, or `peatnode mesh 3 --only 1`",
        "Set PEAT_API_TOKEN_FILE or RUST_LOG, see docs/cli.md and GET /api/v1/peers/${peer.id}.",
        "`peatnode peers forget peat-mesh-3`",
        "`peatnode doc list devices --where state=on --limit 10`, `peatnode conflicts dismiss ID`",
    ],
)
def test_what_exists_is_not(text: str) -> None:
    assert list(faults(text)) == []
