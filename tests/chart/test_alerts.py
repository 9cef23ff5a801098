"""The alert rules, evaluated by promtool for meshes in which something is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.chart.chart_rendering import CHART, render_with
from tests.chart.promtool import PromtoolFiles, Series, run

DASHBOARD = json.loads((CHART / "dashboards" / "peatnode.json").read_text())
FIRING = 'count by (alertname, pod, peer, service) (ALERTS{alertstate="firing"})'
LONG = 30
"""Minutes after which each of these alerts has fired."""


@pytest.fixture
def promtool(tmp_path: Path) -> PromtoolFiles:
    rule = render_with("metrics.prometheusRule.enabled=true").one("PrometheusRule")
    return PromtoolFiles(tmp_path, rule["spec"]["groups"])


def target(pod: str) -> dict[str, str]:
    """The labels that the ServiceMonitor adds."""
    return {"namespace": "meshes", "service": "peat-mesh", "pod": pod, "instance": f"{pod}:8081"}


class Mesh:
    """The metrics of nodes named 0, 1, 2, …, of which `read` are read by Prometheus, as they stay for half an hour."""

    def __init__(self, size: int, read: Iterable[int] | None = None, cluster: str = "") -> None:
        self.names = [f"peat-mesh-{number}{cluster}" for number in range(size)]
        self.read = [f"peat-mesh-{number}" for number in (range(size) if read is None else read)]
        self._suffix = cluster
        self._values: dict[tuple[str, str, tuple[tuple[str, str], ...]], str] = {}
        for pod in self.read:
            self.tell("up", pod, 1)
            self.tell("peatnode_up_info", pod, 1, node_id=pod + cluster, version="0.2.0")
            self.tell("peatnode_ready", pod, 1)
            self.tell("peatnode_clock_right", pod, 1)
            self.tell("peatnode_clock_offset_seconds", pod, 0.1)
            self.tell("peatnode_sync_peers_expected", pod, 0)
            self.tell("peatnode_documents", pod, 100014)
            for peer in self.names:
                if peer != pod + cluster:
                    self.connect(pod, peer, True)

    def tell(self, name: str, pod: str, value: float | str, /, **labels: str) -> None:
        values = value if isinstance(value, str) else f"{value}x{LONG}"
        self._values[name, pod, tuple(sorted(labels.items()))] = values

    def connect(self, pod: str, peer: str, is_connected: bool) -> None:
        self.tell("peatnode_sync_peer_connected", pod, int(is_connected), peer=peer)
        self.tell("peatnode_sync_peer_in_sync", pod, int(is_connected), peer=peer)
        self.tell("peatnode_sync_peer_documents", pod, 100014, peer=peer)
        away = 0 if is_connected else f"0+60x{LONG}"
        self.tell("peatnode_sync_peer_behind_seconds", pod, away, peer=peer)

    def differ(self, pod: str, peer: str) -> None:
        self.tell("peatnode_sync_peer_in_sync", pod, 0, peer=peer)
        self.tell("peatnode_sync_peer_behind_seconds", pod, f"0+60x{LONG}", peer=peer)

    def divide(self, *groups: set[int]) -> None:
        """Leaves only the connections within each group."""
        for pod in self.read:
            for peer in self.names:
                pair = {int(re.findall(r"\d+", name)[0]) for name in (pod, peer)}
                if peer != pod + self._suffix and not any(pair <= group for group in groups):
                    self.connect(pod, peer, False)

    def series(self) -> list[Series]:
        told = [
            Series(name, target(pod) | dict(labels), values)
            for (name, pod, labels), values in self._values.items()
        ]
        connected = [one for one in told if one.name == "peatnode_sync_peer_connected"]
        for pod in self.read:
            of_pod = [one for one in connected if one.labels["pod"] == pod]
            here = sum(one.values.startswith("1") for one in of_pod)
            counts = {"connected": here, "absent": len(of_pod) - here}
            told += [
                Series("peatnode_sync_peers", target(pod) | {"state": state}, f"{number}x{LONG}")
                for state, number in counts.items()
            ]
        return told


def firing(*alerts: tuple[str, str]) -> dict[str, float]:
    """The answer to FIRING: (name of the alert, label), such as ("PeatnodeCutOff", "pod=peat-mesh-0")."""
    found = {}
    for name, label in alerts:
        key, _, value = label.partition("=")
        labels = {"alertname": name, "service": "peat-mesh"} | ({key: value} if key else {})
        found["{" + ", ".join(f'{n}="{v}"' for n, v in sorted(labels.items())) + "}"] = 1.0
    return found


def test_the_rules_are_valid(promtool: PromtoolFiles) -> None:
    done = run("check", "rules", str(promtool.rules))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mesh_in_which_all_is_well_is_silent(promtool: PromtoolFiles) -> None:
    promtool.expect(Mesh(4).series(), LONG, FIRING, {})


def test_an_absent_node_fires_once_and_not_for_each_pair(promtool: PromtoolFiles) -> None:
    """Of eight nodes one was killed and one suspended: Prometheus reads neither."""
    mesh = Mesh(8, read=range(6))
    mesh.divide({0, 1, 2, 3, 4, 5})
    for pod in ("peat-mesh-6", "peat-mesh-7"):
        mesh.tell("up", pod, 0)
    absent = [("PeatnodePeerAbsent", f"peer=peat-mesh-{number}") for number in (6, 7)]
    absent += [("PeatnodeDown", f"pod=peat-mesh-{number}") for number in (6, 7)]
    promtool.expect(mesh.series(), LONG, FIRING, firing(*absent))


def test_no_alert_fires_while_a_node_restarts(promtool: PromtoolFiles) -> None:
    mesh = Mesh(3)
    for pod in ("peat-mesh-0", "peat-mesh-1"):
        mesh.tell("peatnode_sync_peer_connected", pod, f"1x3 0x3 1x{LONG}", peer="peat-mesh-2")
        mesh.tell("peatnode_sync_peer_behind_seconds", pod, f"0x3 0+60x3 0x{LONG}", peer="peat-mesh-2")  # fmt: skip
    for minute in range(4, 14):
        promtool.expect(mesh.series(), minute, FIRING, {})


@pytest.mark.parametrize("cluster", ["", ".alpha"])
def test_a_node_that_is_cut_off_alone_fires_once(promtool: PromtoolFiles, cluster: str) -> None:
    """Prometheus still reads it. Its peers report it as absent; it reports all of them."""
    mesh = Mesh(8, cluster=cluster)
    mesh.divide({0, 1, 2, 3, 4, 5, 6})
    promtool.expect(mesh.series(), LONG, FIRING, firing(("PeatnodeCutOff", "pod=peat-mesh-7")))


def test_a_divided_mesh_fires_on_each_node(promtool: PromtoolFiles) -> None:
    mesh = Mesh(4)
    mesh.divide({0, 1}, {2, 3})
    cut_off = [("PeatnodeCutOff", f"pod={pod}") for pod in mesh.read]
    promtool.expect(mesh.series(), LONG, FIRING, firing(*cut_off))


def test_two_nodes_without_a_connection_are_both_absent(promtool: PromtoolFiles) -> None:
    """No third node sees either."""
    mesh = Mesh(2)
    mesh.divide()
    absent = [("PeatnodePeerAbsent", f"peer={name}") for name in mesh.names]
    promtool.expect(mesh.series(), LONG, FIRING, firing(*absent))


def test_the_last_node_that_is_read_reports_each_absent_one(promtool: PromtoolFiles) -> None:
    mesh = Mesh(3, read=[0])
    mesh.divide()
    absent = [("PeatnodePeerAbsent", f"peer=peat-mesh-{number}") for number in (1, 2)]
    promtool.expect(mesh.series(), LONG, FIRING, firing(*absent))


def test_a_peer_that_only_one_node_knows_fires(promtool: PromtoolFiles) -> None:
    """A gateway of another cluster, whose pods this Prometheus does not read."""
    mesh = Mesh(3)
    mesh.connect("peat-mesh-0", "peat-mesh-0.bravo", False)
    promtool.expect(
        mesh.series(), LONG, FIRING, firing(("PeatnodePeerAbsent", "peer=peat-mesh-0.bravo"))
    )
    mesh.connect("peat-mesh-1", "peat-mesh-0.bravo", True)
    promtool.expect(
        mesh.series(), LONG, FIRING, firing(("PeatnodeCutOff", "pod=peat-mesh-0"))
    )  # fmt: skip


def test_a_node_that_was_scaled_down_or_forgotten_is_silent(promtool: PromtoolFiles) -> None:
    """Its series end: those that it told, and those that its peers told of it."""
    mesh = Mesh(3)
    gone = f"1x2 stale _x{LONG}"
    for name in ("peatnode_ready", "up"):
        mesh.tell(name, "peat-mesh-2", gone)
    mesh.tell("peatnode_up_info", "peat-mesh-2", gone, node_id="peat-mesh-2", version="0.2.0")
    for pod, peer in ((0, 2), (1, 2), (2, 0), (2, 1)):
        names = f"peat-mesh-{pod}", f"peat-mesh-{peer}"
        mesh.tell("peatnode_sync_peer_connected", names[0], gone, peer=names[1])
    promtool.expect(mesh.series(), LONG, FIRING, {})


def test_expected_peers_that_nobody_has_found_fire_once(promtool: PromtoolFiles) -> None:
    """A number is expected: no name can be missed."""
    mesh = Mesh(3)
    for pod in mesh.read:
        mesh.tell("peatnode_sync_peers_expected", pod, 3)
    promtool.expect(mesh.series(), LONG, FIRING, firing(("PeatnodePeersMissing", "")))


def test_expected_peers_that_are_known_to_be_absent_fire_by_name(promtool: PromtoolFiles) -> None:
    mesh = Mesh(4, read=range(3))
    mesh.divide({0, 1, 2})
    for pod in mesh.read:
        mesh.tell("peatnode_sync_peers_expected", pod, 3)
    promtool.expect(mesh.series(), LONG, FIRING, firing(("PeatnodePeerAbsent", "peer=peat-mesh-3")))


def test_the_node_that_differs_from_the_others_fires(promtool: PromtoolFiles) -> None:
    mesh = Mesh(4)
    for name in mesh.names[1:]:
        mesh.differ("peat-mesh-0", name)
        mesh.differ(name, "peat-mesh-0")
    promtool.expect(mesh.series(), LONG, FIRING, firing(("PeatnodePeerBehind", "peer=peat-mesh-0")))


def test_two_halves_that_differ_fire(promtool: PromtoolFiles) -> None:
    mesh = Mesh(4)
    for pod, peer in ((0, 2), (0, 3), (1, 2), (1, 3)):
        mesh.differ(f"peat-mesh-{pod}", f"peat-mesh-{peer}")
        mesh.differ(f"peat-mesh-{peer}", f"peat-mesh-{pod}")
    behind = [("PeatnodePeerBehind", f"peer={name}") for name in mesh.names]
    promtool.expect(mesh.series(), LONG, FIRING, firing(*behind))


@pytest.mark.parametrize(
    ("documents", "minute", "alert"),
    [
        ("0+4000x40", 14, ""),
        ("0+3000x40", 25, "PeatnodeJoiningLong"),
        (49391, LONG, "PeatnodeJoiningLong"),
    ],
)
def test_a_node_that_joins_fires_when_it_takes_long(
    promtool: PromtoolFiles, documents: int | str, minute: int, alert: str
) -> None:
    """And not as one that differs, neither on itself nor on its peers."""
    mesh = Mesh(4)
    mesh.tell("peatnode_documents", "peat-mesh-3", documents)
    for name in mesh.names[:3]:
        mesh.differ("peat-mesh-3", name)
        mesh.differ(name, "peat-mesh-3")
        mesh.tell("peatnode_sync_peer_documents", name, documents, peer="peat-mesh-3")
    found = firing((alert, "pod=peat-mesh-3")) if alert else {}
    promtool.expect(mesh.series(), minute, FIRING, found)


@pytest.mark.parametrize(
    ("offset", "is_right", "alert"),
    [
        (4.9, 1, ""),
        (5.1, 1, "PeatnodeClockOff"),
        (-12.4, 1, "PeatnodeClockOff"),
        (-86400, 0, "PeatnodeClockWrong"),
    ],
)
def test_a_clock_that_is_off_fires_once(
    promtool: PromtoolFiles, offset: float, is_right: int, alert: str
) -> None:
    mesh = Mesh(3)
    mesh.tell("peatnode_clock_offset_seconds", "peat-mesh-1", offset)
    mesh.tell("peatnode_clock_right", "peat-mesh-1", is_right)
    found = firing((alert, "pod=peat-mesh-1")) if alert else {}
    promtool.expect(mesh.series(), LONG, FIRING, found)


def test_a_mesh_without_any_node_fires(promtool: PromtoolFiles) -> None:
    promtool.expect([], LONG, FIRING, firing(("PeatnodeGone", "")))


def test_meshes_of_several_clusters_are_apart(promtool: PromtoolFiles) -> None:
    """One Prometheus may read clusters that have nodes of one name and are no mesh."""
    healthy, broken = Mesh(2), Mesh(2, read=[0])
    broken.divide()
    series = [
        Series(one.name, {**one.labels, "cluster": cluster}, one.values)
        for cluster, mesh in (("one", healthy), ("two", broken))
        for one in mesh.series()
    ]
    promtool.expect(series, LONG, FIRING, firing(("PeatnodePeerAbsent", "peer=peat-mesh-1")))


def panel(title: str) -> str:
    """The expression of a panel, for the mesh of these tests."""
    (found,) = (panel for panel in DASHBOARD["panels"] if panel["title"] == title)
    return shown(found["targets"][0]["expr"])


def shown(expression: str) -> str:
    for variable, value in (("$namespace", "meshes"), ("$mesh", "peat-mesh")):
        expression = expression.replace(variable, value)
    return expression.replace("$__rate_interval", "5m")


@pytest.mark.parametrize(
    ("groups", "expected", "share"),
    [
        ([{0, 1, 2, 3}], 0, 1),
        ([{0, 1, 2}], 0, 6 / 9),
        ([{0, 1}], 0, 2 / 9),
        ([], 0, 0),
        ([{0, 1, 2}], 4, 6 / 12),
    ],
)
def test_pairs_in_sync_counts_absent_ones(
    promtool: PromtoolFiles, groups: list[set[int]], expected: int, share: float
) -> None:
    """Also those of which no series says that they are not in sync."""
    mesh = Mesh(4, read=range(4) if share == 1 else range(3))
    mesh.divide(*groups)
    for pod in mesh.read:
        mesh.tell("peatnode_sync_peers_expected", pod, expected)
    not_in_sync = ("peatnode_sync_peer_in_sync", f"0x{LONG}")
    series = [one for one in mesh.series() if (one.name, one.values) != not_in_sync]
    promtool.expect(series, 5, f"round({panel('Pairs in sync')}, 0.001)", {"{}": round(share, 3)})


def test_a_node_alone_has_no_pairs(promtool: PromtoolFiles) -> None:
    promtool.expect(Mesh(1).series(), 5, panel("Pairs in sync"), {})


@pytest.mark.parametrize(("groups", "count"), [([{0, 1, 2, 3}], 0), ([{0, 1, 2}], 1), ([], 4)])
def test_absent_nodes_are_counted_once(
    promtool: PromtoolFiles, groups: list[set[int]], count: int
) -> None:
    mesh = Mesh(4)
    mesh.divide(*groups)
    promtool.expect(mesh.series(), 5, panel("Absent nodes"), {"{}": count})


def test_the_row_of_members_counts_nodes(promtool: PromtoolFiles) -> None:
    mesh = Mesh(3)
    for pod in ("peat-mesh-0", "peat-mesh-1"):
        mesh.tell("peatnode_sync_peer_deletions_paused", pod, 1, peer="peat-mesh-2")
        mesh.tell("peatnode_sync_peer_blocked", pod, 1, peer="peat-mesh-2")
    for title in ("Deletions paused, nodes", "Blocked, nodes"):
        promtool.expect(mesh.series(), 5, panel(title), {'{peer="peat-mesh-2"}': 2})


def test_all_expressions_are_promql(promtool: PromtoolFiles) -> None:
    expressions = {
        f"shown:{number}:{index}": shown(wanted["expr"])
        for number, one in enumerate(DASHBOARD["panels"])
        for index, wanted in enumerate(one.get("targets", []))
    }
    group = {"name": "panels", "rules": [{"record": n, "expr": e} for n, e in expressions.items()]}
    files = PromtoolFiles(promtool.rules.parent, [group])
    done = run("check", "rules", str(files.rules))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(expressions)} rules found" in done.stdout


def test_a_member_that_deletes_by_the_thousand_fires_once(promtool: PromtoolFiles) -> None:
    mesh = Mesh(3)
    for pod in ("peat-mesh-0", "peat-mesh-1"):
        mesh.tell("peatnode_sync_peer_deletions_paused", pod, 1, peer="peat-mesh-2")
    fired = firing(("PeatnodeDeletionsPaused", "peer=peat-mesh-2"))
    promtool.expect(mesh.series(), 1, FIRING, fired)


def test_a_blocked_member_is_no_absent_one(promtool: PromtoolFiles) -> None:
    """The nodes that have blocked it tell nothing else of it, and it is cut off from them."""
    mesh = Mesh(3, read=[0, 1])
    for pod in mesh.read:
        ends = f"1x2 stale _x{LONG}"
        mesh.tell("peatnode_sync_peer_connected", pod, ends, peer="peat-mesh-2")
        mesh.tell("peatnode_sync_peer_behind_seconds", pod, f"0x2 stale _x{LONG}", peer="peat-mesh-2")  # fmt: skip
        mesh.tell("peatnode_sync_peer_blocked", pod, f"_x2 1x{4 * LONG}", peer="peat-mesh-2")
    promtool.expect(mesh.series(), LONG, FIRING, {})
    fired = firing(("PeatnodePeerBlocked", "peer=peat-mesh-2"))
    told = [one for one in mesh.series() if one.name == "peatnode_sync_peer_blocked"]
    up = [Series("up", target(pod), f"1x{4 * LONG}") for pod in mesh.read]
    promtool.expect([*told, *up], 3 * LONG, FIRING, fired)


def test_what_only_members_can_do_fires_at_the_node_that_saw_it(promtool: PromtoolFiles) -> None:
    mesh = Mesh(3)
    mesh.tell("peatnode_problem", "peat-mesh-0", 1, worker="sync", name="identity")
    mesh.tell("peatnode_problem", "peat-mesh-0", 1, worker="store", name="members")
    mesh.tell("peatnode_store_leaps_kept", "peat-mesh-1", 2)
    mesh.tell("peatnode_yjs_presence_dropped_total", "peat-mesh-2", f"0+120x{LONG}", reason="too_fast")  # fmt: skip
    fired = firing(
        ("PeatnodeIdentityClaimed", "pod=peat-mesh-0"),
        ("PeatnodeLeaps", "pod=peat-mesh-1"),
        ("PeatnodePresenceDropped", "pod=peat-mesh-2"),
    )
    promtool.expect(mesh.series(), LONG, FIRING, fired)
