"""A field of a node's status is in its message, its body, its schema and its model, or in none of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from peatnode.api import encode_node as node_bodies
from peatnode.api import encode_peer as peer_bodies
from peatnode.api.findings.replies import NoAnswer
from peatnode.cli.status.as_json import status_json
from peatnode.cli.status.diagnosis import diagnose
from peatnode.cli.status.from_sockets import report_of
from peatnode.client import models
from peatnode.client._wire.fields import Fields
from peatnode.client._wire.records import decode_record, json_name, record_content
from peatnode.ipc.messages import WorkerProblem
from tests.support.replies import DISCOVERY, NODE, NOW, PEERS, STORE

PROBLEM = WorkerProblem("store", "disk", "It is full.", "Make room.", True, NOW)
NODE_BODY = node_bodies.encode_node(replace(NODE, problems=(PROBLEM,)), STORE, DISCOVERY, NOW)
PEERS_BODY = peer_bodies.encode_peers(PEERS)

BODIES: dict[str, tuple[Mapping[str, Any], Mapping[str, Any], type[Any]]] = {
    "node": (NODE_BODY, node_bodies.NODE_SCHEMA, models.Node),
    "worker": (NODE_BODY["workers"][0], node_bodies.WORKER_SCHEMA, models.Worker),
    "problem": (NODE_BODY["problems"][0], node_bodies.PROBLEM_SCHEMA, models.NodeProblem),
    "store": (NODE_BODY["store"], node_bodies.STORE_SCHEMA, models.NodeStore),
    "source": (NODE_BODY["discovery_sources"][0], node_bodies.SOURCE_SCHEMA, models.Source),
    "peers": (PEERS_BODY, peer_bodies.PEERS_SCHEMA, models.Peers),
    "clock": (PEERS_BODY["clock"], peer_bodies.CLOCK_SCHEMA, models.NodeClock),
    "peer": (PEERS_BODY["peers"][0], peer_bodies.PEER_SCHEMA, models.Peer),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_schema_lists_what_the_body_has_and_the_model_reads_only_that(name: str) -> None:
    body, schema, model = BODIES[name]
    assert body.keys() == schema["properties"].keys()
    read = {json_name(field) for field in fields(model)} - {"content"}
    assert read <= body.keys()


@pytest.mark.parametrize("name", BODIES)
def test_a_body_means_the_same_before_and_after_its_way_over_http(name: str) -> None:
    body, _, model = BODIES[name]
    sent = json.loads(json.dumps(body))
    here, there = (decode_record(model, Fields(content)) for content in (body, sent))
    assert record_content(here) == record_content(there)


@pytest.mark.parametrize("offset", [-7200.5, 0.0, 7200.5])
def test_the_clock_of_a_peer_may_be_behind(offset: float) -> None:
    peers = tuple([replace(peer, clock_offset=offset) for peer in PEERS.peers])
    body = peer_bodies.encode_peers(replace(PEERS, peers=peers))
    assert decode_record(models.Peers, Fields(body))[0].clock_offset == offset


def test_the_graph_shows_absent_peers_and_a_name_that_is_used_twice_once() -> None:
    (connected,) = PEERS.peers
    dead = replace(connected, instance="99" * 16, is_connected=False, state="absent")
    absent = replace(dead, id="peat-mesh-2", absent_since=NOW - 90, is_expected=True)
    own_twin = replace(connected, id=NODE.node_id, is_twin=True)
    for peers in ((connected, dead, absent, own_twin), (own_twin, absent, dead, connected)):
        graph = peer_bodies.encode_topology(NODE, replace(PEERS, peers=peers))
        nodes = {node["id"]: node for node in graph["nodes"]}
        assert len(nodes) == len(graph["nodes"]) == 3
        assert nodes[connected.id]["connected"]
        assert (nodes[NODE.node_id]["self"], nodes[NODE.node_id]["twin"]) == (True, True)
        shown = nodes["peat-mesh-2"]
        assert (shown["state"], shown["absent_since"]) == ("absent", NOW - 90)
        assert (shown["connected"], shown["expected"]) == (False, True)


def test_a_worker_that_does_not_answer_hides_nothing_of_the_others() -> None:
    unanswered = NoAnswer("x", "refused")
    replies = (NODE, STORE, PEERS, DISCOVERY)
    parts = ("node", "store", "peers", "sources")
    for number, part in enumerate(parts):
        some: list[Any] = [*replies]
        some[number] = unanswered
        report = report_of(some[0], some[1], some[2], some[3], NOW)
        known = {name for name in parts if getattr(report, name) is not None}
        assert known == set(parts) - {part}
        assert report.unanswered == (unanswered,)
        assert json.loads(json.dumps(status_json(report, diagnose(report))))["schema"] == 1
