"""Each state has a producer, and every list or comparison of states has exactly these."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

from peatnode.model.states import ChangeAction, PeerStatus, SourceStatus, WorkerStatus
from workers.broker.openapi.description import build_description

ROOT = Path(__file__).parents[3]
PRODUCERS: dict[type[StrEnum], tuple[str, ...]] = {
    ChangeAction: ("peatnode/documents/replica/write_batch.py",),
    PeerStatus: (
        "peatnode/protocol/connect/dial_plan.py",
        "peatnode/protocol/connect/target.py",
        "workers/sync/unconnected.py",
        "workers/sync/peer_report.py",
    ),
    WorkerStatus: ("peatnode/supervision/policy.py",),
    SourceStatus: tuple(
        f"workers/discovery/{source}/source.py" for source in ("kubernetes", "mdns", "static")
    ),
}
SHOWN = {"peer": PeerStatus, "worker": WorkerStatus, "source": SourceStatus}


def produced(tree: ast.AST, enum: type[StrEnum]) -> Iterator[str]:
    """Members that occur otherwise than in a comparison."""
    compared = {
        id(node)
        for compare in ast.walk(tree)
        if isinstance(compare, ast.Compare)
        for node in ast.walk(compare)
    }
    for node in ast.walk(tree):
        is_member = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if is_member and node.value.id == enum.__name__ and id(node) not in compared:
            yield node.attr


@pytest.mark.parametrize("enum", PRODUCERS, ids=lambda enum: enum.__name__)
def test_every_state_has_a_producer(enum: type[StrEnum]) -> None:
    found = {
        name
        for path in PRODUCERS[enum]
        for name in produced(ast.parse((ROOT / path).read_text()), enum)
    }
    assert found == set(enum.__members__)


def test_the_description_of_the_api_has_these_states() -> None:
    schemas = build_description()["components"]["schemas"]
    for kind, enum in SHOWN.items():
        assert schemas[kind.title()]["properties"]["state"] == {"enum": list(enum)}
    node = schemas["Topology"]["properties"]["nodes"]["items"]
    assert node["properties"]["state"] == {"enum": list(PeerStatus)}


def test_the_page_of_the_cli_has_these_states() -> None:
    page = re.sub(r"\s+", " ", (ROOT / "docs/cli.md").read_text())
    lists = {
        "source": r"`state` of a source of discovery: (.*?)[;.]",
        "worker": r"`state` of a worker: (.*?);",
        "peer": r"`state` of a worker: .*?; of a peer: (.*?)\.",
    }
    for kind, pattern in lists.items():
        found = re.search(pattern, page)
        assert found, kind
        words = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", found[1]))
        assert words == list(SHOWN[kind])


def test_the_dashboard_compares_with_these_states() -> None:
    pages = ROOT / "workers/broker/pages/dashboard"
    compared = [
        (kind, word)
        for script in pages.glob("*.js")
        for kind, word in re.findall(r"(\w+)\.state [!=]== \"(\w+)\"", script.read_text())
    ]
    assert compared
    for kind, word in compared:
        assert word in set(SHOWN[kind])
