"""Workers and sources of peers are listed once; whatever else names them is compared with these tables here.

A worker or source that is in one list and missing from another fails a test, and no node.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

import workers
import workers.discovery
from peatnode.config import SOURCE_NAMES, SOURCES, VARIABLES, SourceSpec
from peatnode.config.sources import CANONICAL
from peatnode.ipc import messages
from peatnode.supervision.sockets import UNIX_SOCKETS
from peatnode.supervision.workers import WORKERS, WorkerSpec

ROOT = Path(__file__).parents[2]
NAMES = {spec.name for spec in WORKERS}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def packages_in(package: Any) -> set[str]:
    return {module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg}


# --- workers --------------------------------------------------------------------------------------------------


def test_every_package_of_workers_is_in_the_table_and_the_other_way_round() -> None:
    assert packages_in(workers) == NAMES
    assert len(NAMES) == len(WORKERS)


@pytest.mark.parametrize("spec", WORKERS, ids=lambda spec: spec.name)
def test_a_worker_can_be_started(spec: WorkerSpec) -> None:
    assert spec.module == f"workers.{spec.name}"
    assert callable(importlib.import_module(spec.module).run)


def test_every_socket_is_bound_and_belongs_to_one_worker() -> None:
    given = [name for spec in WORKERS for name in spec.listeners]
    assert len(given) == len(set(given))
    assert {*UNIX_SOCKETS, "http", "quic"} == {*given, "supervisor"}


def test_the_layers_hold_for_every_worker() -> None:
    """By wildcards, and where a contract names workers one by one, all of them exist."""
    (modules,) = [one["modules"] for one in CONTRACTS if one["type"] == "independence"]
    assert modules == ["workers.*"]
    named = set(re.findall(r"workers\.(\w+)", (ROOT / "pyproject.toml").read_text()))
    assert named <= NAMES


def test_the_pages_name_every_worker_and_socket() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    (graph,) = re.findall(r"supervisor ── forks.*▶ (.*)", page)
    assert graph.split(", ") == [spec.name for spec in WORKERS]
    for text in (page, messages.__doc__ or ""):
        assert set(re.findall(r"(\w+)\.sock", text)) == set(UNIX_SOCKETS)


# --- sources of peers -----------------------------------------------------------------------------------------


def test_every_package_of_discovery_is_a_source_in_the_table() -> None:
    assert packages_in(workers.discovery) == set(SOURCE_NAMES)
    assert len(set(CANONICAL)) == sum(1 + len(spec.aliases) for spec in SOURCES)


@pytest.mark.parametrize("spec", SOURCES, ids=lambda spec: spec.name)
def test_a_source_can_be_opened_and_reports_by_the_name_of_the_table(spec: SourceSpec) -> None:
    open_source = importlib.import_module(spec.module).open_source
    assert typing.get_type_hints(open_source)["return"].name == spec.name


def test_the_chart_takes_the_sources_of_the_table() -> None:
    schema = json.loads((ROOT / "chart" / "values.schema.json").read_text())
    pattern = schema["definitions"]["discovery"]["pattern"]
    (first, further) = re.findall(r"\(([\w|]+)\)", pattern)
    assert set(first.split("|")) == set(further.split("|")) == set(CANONICAL)
    assert re.fullmatch(pattern, ", ".join(CANONICAL))


@pytest.mark.parametrize("name", SOURCE_NAMES)
def test_the_pages_explain_every_source(name: str) -> None:
    (variable,) = [one for one in VARIABLES if one.name == "PEAT_DISCOVERY"]
    assert name in variable.help
    assert f"`{name}`" in (ROOT / "chart" / "README.md").read_text()
    assert re.search(rf"^#+ .*{name}", (ROOT / "docs" / "discovery.md").read_text(), re.M | re.I)
