"""Workers, sources of peers and kinds of write are listed once; whatever else names them is compared with these
tables here.

A worker, source or kind that is in one list and missing from another fails a test, and no node.
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
from peatnode.api.write_kinds import PATCH_FORMATS, WRITE_FORMATS, WriteFormat
from peatnode.client._wire import requests
from peatnode.client._wire.requests import Conditions, ListQuery
from peatnode.client.resume import EventFilter
from peatnode.config import SOURCE_NAMES, SOURCES, VARIABLES, SourceSpec
from peatnode.config.sources import CANONICAL
from peatnode.documents.json.target import target_of
from peatnode.errors import BadValue
from peatnode.ipc import messages
from peatnode.ipc.messages import EngineKind, WriteKind
from peatnode.supervision.sockets import UNIX_SOCKETS
from peatnode.supervision.workers import WORKERS, WorkerSpec
from workers.broker.documents.listing import QUERY_PARAMETERS
from workers.broker.documents.writes import WRITE_PARAMETERS
from workers.broker.feed.resources import FEED_PARAMETERS
from workers.broker.openapi.description import build_description

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


# --- kinds of write -------------------------------------------------------------------------------------------


def test_every_kind_of_write_has_a_format_of_its_own() -> None:
    assert list(WRITE_FORMATS) == list(WriteKind)
    types = [one.patch_type for one in WRITE_FORMATS.values() if one.patch_type]
    assert types == list(PATCH_FORMATS)


@pytest.mark.parametrize("kind", [kind for kind in WriteKind if kind is not WriteKind.DELETE])
def test_the_store_and_the_engine_carry_out_every_kind(kind: WriteKind) -> None:
    """A body that no kind accepts is refused for what it is, not for its kind."""
    assert EngineKind(kind).value == kind.value
    with pytest.raises(BadValue) as refusal:
        target_of(kind, {}, b"0")
    assert "of the kind" not in refusal.value.message


@pytest.mark.parametrize("format", WRITE_FORMATS.values(), ids=lambda one: one.kind)
def test_the_client_sends_every_kind_as_the_api_takes_it(format: WriteFormat) -> None:
    sent = requests.write(format.kind, "a", "b", b"{}", requests.Conditions())
    assert sent.method == ("PATCH" if format.patch_type else format.kind.upper())
    if format.patch_type:
        assert dict(sent.headers)["Content-Type"] == format.patch_type


def test_the_description_has_every_media_type_of_a_patch() -> None:
    path = build_description()["paths"]["/api/v1/documents/{collection}/{doc_id}"]
    content = path["patch"]["requestBody"]["content"]
    assert set(content) == {*PATCH_FORMATS, "application/json"}
    for media_type, one in PATCH_FORMATS.items():
        assert content[media_type]["schema"] == one.schema
        assert f"`{media_type}`" in (ROOT / "docs" / "http-api.md").read_text()


# --- parameters -----------------------------------------------------------------------------------------------

SENT = [
    (EventFilter("c", "i", "p", True, ("SyncEvent",)).params(), FEED_PARAMETERS),
    (ListQuery(("a=1",), ("a",), ("a",), "p").params(), QUERY_PARAMETERS),
    (Conditions(replicas=1, ttl=1.0).params(), WRITE_PARAMETERS),
]


@pytest.mark.parametrize(("params", "known"), SENT, ids=["feed", "list", "write"])
def test_the_client_sends_only_parameters_that_the_broker_knows(
    params: tuple[tuple[str, str], ...], known: frozenset[str]
) -> None:
    assert {name for name, _ in params} <= known
