"""The dashboard and the alerts: every metric they ask for is one that nodes have."""

import json
import re
from typing import Any

import pytest

from tests.chart.chart_rendering import CHART, render_with

METRICS = {
    "peatnode_up_info",
    "peatnode_uptime_seconds",
    "peatnode_ready",
    "peatnode_documents",
    "peatnode_store_commit_duration_seconds_bucket",
    "peatnode_store_group_size_bucket",
    "peatnode_store_disk_bytes",
    "peatnode_store_changes_total",
    "peatnode_sync_peers",
    "peatnode_sync_peers_expected",
    "peatnode_sync_peer_absent_seconds",
    "peatnode_sync_peer_blocked",
    "peatnode_sync_peer_connected",
    "peatnode_sync_peer_deletions_paused",
    "peatnode_problem",
    "peatnode_store_leaps_kept",
    "peatnode_yjs_presence_dropped_total",
    "peatnode_sync_peer_rtt_seconds",
    "peatnode_sync_peer_in_sync",
    "peatnode_sync_peer_behind_seconds",
    "peatnode_sync_peer_documents",
    "peatnode_sync_peer_documents_per_second",
    "peatnode_sync_peer_bytes_total",
    "peatnode_sync_peer_clock_offset_seconds",
    "peatnode_clock_right",
    "peatnode_clock_offset_seconds",
    "peatnode_worker_restarts_total",
    "peatnode_worker_memory_bytes",
    "peatnode_worker_loop_stall_seconds",
    "peatnode_queue_length",
    "peatnode_queue_capacity",
    "peatnode_rejected_input_total",
    "peatnode_discovery_relist_age_seconds",
    "peatnode_http_requests_total",
    "peatnode_http_request_duration_seconds_bucket",
}
GUIDE = CHART.parent / "docs" / "kubernetes.md"
METRICS_PAGE = CHART.parent / "docs" / "metrics.md"
"""Compared with what a node answers, in tests/process/test_metrics_documented.py."""
DASHBOARD = json.loads((CHART / "dashboards" / "peatnode.json").read_text())


def rules() -> list[dict[str, Any]]:
    rule = render_with("metrics.prometheusRule.enabled=true").one("PrometheusRule")
    return [r for group in rule["spec"]["groups"] for r in group["rules"]]


def expressions() -> list[str]:
    of_panels = [t["expr"] for panel in DASHBOARD["panels"] for t in panel.get("targets", [])]
    return of_panels + [rule["expr"] for rule in rules()]


def test_only_known_metrics_are_asked_for() -> None:
    assert {m for e in expressions() for m in re.findall(r"peatnode_\w+", e)} <= METRICS


def test_only_recorded_series_are_asked_for() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = {name for e in expressions() for name in re.findall(r"peatnode:[a-z_:]+", e)}
    assert asked == recorded
    of_panels = [t["expr"] for panel in DASHBOARD["panels"] for t in panel.get("targets", [])]
    assert not any("peatnode:" in expression for expression in of_panels)  # rules may be off


def test_nodes_have_the_known_metrics() -> None:
    """A panel of a metric that was renamed shows nothing, and its alert never fires."""
    documented = re.findall(r"`(peatnode_[a-z0-9_]+)`", METRICS_PAGE.read_text())
    assert {name.removesuffix("_bucket") for name in METRICS} <= set(documented)


def test_the_dashboard_shows_every_metric() -> None:
    shown = {m for e in expressions() for m in re.findall(r"peatnode_\w+", e)}
    assert METRICS - shown == set()


@pytest.mark.parametrize("brackets", ["()", "[]", "{}"])
def test_expressions_are_balanced(brackets: str) -> None:
    for expression in expressions():
        assert expression.count(brackets[0]) == expression.count(brackets[1]), expression


def test_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], int] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["id"]) == panel["id"]


def test_alerts_say_what_is_wrong() -> None:
    """And of what: a node, a peer, or the whole mesh."""
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) > 10
    for rule in alerts:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert re.search(r"\$labels\.(pod|peer|service)", rule["annotations"]["summary"])
    for rule in rules():
        assert 'namespace="meshes",service="peat-mesh"' in rule["expr"]


def test_the_guide_has_every_alert() -> None:
    described = re.findall(r"^\| `(Peatnode\w+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert described == [rule["alert"] for rule in rules() if "alert" in rule]


def test_the_dashboard_arrives_unchanged() -> None:
    mesh = render_with("metrics.dashboard.enabled=true")
    config = mesh.one("ConfigMap", "peat-mesh-dashboard")
    assert json.loads(config["data"]["peatnode.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
