"""Requests made up from openapi.json, right and wrong ones, against a real node: it answers as it describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from peatnode.texts import MAX_NAME_BYTES
from tests.support.nodes import nodes
from workers.broker.openapi.description import build_description

EXAMPLES = 20
"""Random requests of each operation, in addition to those at the limits of each parameter."""

MAX_WAIT_SECONDS = 0.05
"""A lone node waits in vain for replicas, so not for long."""

pytestmark = pytest.mark.filterwarnings("ignore:Skipped test cases:UserWarning")

load_all_checks()
schema = schemathesis.openapi.from_dict(build_description()).exclude(
    operation_id=["events", "websocket", "yjs"]
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nodes(1) as (node,):
        yield node.url.removesuffix("/api/v1")


def has_condition(case: schemathesis.Case[Any]) -> bool:
    return any(name in case.headers for name in ("If-Match", "If-None-Match"))


def is_known_to_be_right(case: schemathesis.Case[Any]) -> bool:
    """False where it depends on another parameter, for which OpenAPI has no words, or on the document."""
    query = case.query or {}
    is_bulk = "bulk" in query or case.media_type == "application/x-ndjson"
    is_patch = case.media_type == "application/json-patch+json"
    is_plain = query.get("format") != "ndjson" and not query.get("cursor")
    peer = str((case.path_parameters or {}).get("peer_id", ""))
    is_short = len(peer.encode()) <= MAX_NAME_BYTES  # a pattern counts characters
    return is_plain and is_short and not (is_bulk or is_patch or has_condition(case))


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_described(case: schemathesis.Case[Any], url: str) -> None:
    query = case.query or {}
    if query.get("watch") in ("true", ""):
        return  # it does not end
    match query.get("timeout"):
        case float() | int() as seconds if MAX_WAIT_SECONDS < seconds <= 60:
            query["timeout"] = MAX_WAIT_SECONDS
    excluded = [] if is_known_to_be_right(case) else [positive_data_acceptance]
    if has_condition(case):
        excluded.append(negative_data_rejection)  # 412 may come before the body is read
    case.call_and_validate(base_url=url, excluded_checks=excluded)
