"""Reading what the API server writes, and the peers in it."""

import json
import random

import pytest

from peatnode.ipc.messages import Address
from tests.support.kubernetes_api.cluster import Cluster, make_slice
from workers.discovery.kubernetes.slice_table import Naming, SliceTable
from workers.discovery.kubernetes.slices import (
    LineKind,
    MalformedAnswer,
    Slice,
    read_page,
    read_slice,
    read_watch_line,
)

NAMING = Naming(cluster="", own_name="me", own_namespace="mesh")


def endpoint(name: str, *hosts: str, **conditions: bool) -> dict[str, object]:
    return {
        "addresses": list(hosts),
        "conditions": conditions,
        "targetRef": {"kind": "Pod", "name": name, "namespace": "mesh"},
    }


def versioned(content: dict[str, object], version: int) -> dict[str, object]:
    content["metadata"]["resourceVersion"] = str(version)  # type: ignore[index]
    return content


def read(name: str, *endpoints: dict[str, object], version: int = 1, **more: object) -> Slice:
    return read_slice(versioned(make_slice(name, list(endpoints), **more), version))  # type: ignore[arg-type]


def test_the_port_is_the_one_named_quic() -> None:
    content = make_slice("s", [endpoint("p", "10.0.0.1")], port=4242)
    assert read_slice(content).endpoints[0].addresses == (Address("10.0.0.1", 4242),)
    content["ports"] = [{"name": "http", "port": 8081}]
    assert read_slice(content).endpoints == ()


@pytest.mark.parametrize(
    "ports", [None, [], [{"name": "quic"}], [{"name": "quic", "port": 70000}], "x"]
)
def test_a_port_that_cannot_be_is_none(ports: object) -> None:
    content = make_slice("s", [endpoint("p", "10.0.0.1")])
    content["ports"] = ports
    assert read_slice(content).endpoints == ()


def test_unknown_conditions_mean_ready_and_not_terminating() -> None:
    (unknown, going) = read(
        "s", endpoint("p", "10.0.0.1"), endpoint("q", "10.0.0.2", ready=False, terminating=True)
    ).endpoints
    assert (unknown.is_ready, unknown.is_terminating) == (True, False)
    assert (going.is_ready, going.is_terminating) == (False, True)


def test_annotations_of_ours_become_metadata() -> None:
    notes = {"peat.role": "gateway", "other": "x", "peat.long": "x" * 500}
    table = SliceTable(NAMING)
    (peer,) = table.put(read("s", endpoint("p", "10.0.0.1"), annotations=notes)).found
    assert peer.metadata == (("peat.role", "gateway"),)


def test_labels_of_ours_become_metadata_and_annotations_go_before_them() -> None:
    labels = {"peat.role": "leaf", "peat.site": "north"}
    notes = {"peat.role": "gateway"}
    table = SliceTable(NAMING)
    peers = read("s", endpoint("p", "10.0.0.1"), annotations=notes, labels=labels)
    (peer,) = table.put(peers).found
    assert peer.metadata == (("peat.role", "gateway"), ("peat.site", "north"))


def test_a_cluster_is_part_of_the_node_id() -> None:
    table = SliceTable(Naming("alpha", "me", "mesh"))
    (peer,) = table.put(read("s", endpoint("p", "10.0.0.1"), endpoint("me", "10.0.0.2"))).found
    assert (peer.node_id, peer.key) == ("p.alpha", "mesh/p")


def test_an_endpoint_without_a_pod_is_known_by_its_address() -> None:
    bare = {"addresses": ["fd00::7"]}
    (peer,) = SliceTable(NAMING).put(read("s", bare)).found
    assert (peer.key, peer.node_id) == ("[fd00::7]:11204", "")


def test_an_endpoint_whose_pod_has_a_name_that_no_node_can_have_is_known_by_its_address() -> None:
    content = read("s", endpoint("p\x1b[2J\nforged", "10.0.0.1"))
    (found,) = SliceTable(NAMING).put(content).found
    assert (found.key, found.node_id) == ("10.0.0.1:11204", "")


def test_metadata_forges_no_line() -> None:
    labels = {"peat.a\nb": "c\x1b[2J\u202ed"}
    content = make_slice("s", [endpoint("p", "10.0.0.1")])
    content["metadata"]["labels"] = labels  # type: ignore[index]
    assert read_slice(content).metadata == (("peat.a\ufffdb", "c\ufffd[2J\ufffdd"),)


def test_a_name_of_another_namespace_is_not_ours() -> None:
    other = endpoint("me", "10.0.0.3")
    other["targetRef"]["namespace"] = "elsewhere"  # type: ignore[index]
    (peer,) = SliceTable(NAMING).put(read("s", other)).found
    assert peer.key == "elsewhere/me"


def test_addresses_of_all_slices_together_v4_first() -> None:
    table = SliceTable(NAMING)
    table.put(read("six", endpoint("p", "fd00::1"), address_type="IPv6"))
    (peer,) = table.put(read("four", endpoint("p", "10.0.0.1"))).found
    assert [a.host for a in peer.addresses] == ["10.0.0.1", "fd00::1"]
    (rest,) = table.remove("six").found
    assert [a.host for a in rest.addresses] == ["10.0.0.1"]
    assert table.remove("four").lost == ("mesh/p",)
    assert not table.sightings


def test_a_pod_made_anew_shows_the_address_that_stays_first() -> None:
    table = SliceTable(NAMING)
    old = endpoint("p", "10.0.0.1", ready=False, terminating=True)
    (peer,) = table.put(read("s", old, endpoint("p", "10.0.0.2", ready=True))).found
    assert [a.host for a in peer.addresses] == ["10.0.0.2", "10.0.0.1"]
    assert peer.condition is not None
    assert (peer.condition.is_ready, peer.condition.is_terminating) == (True, False)


def test_replacing_all_slices_loses_nobody_who_only_moved() -> None:
    table = SliceTable(NAMING)
    table.put(read("a", endpoint("p", "10.0.0.1"), endpoint("q", "10.0.0.2")))
    new = [read("b", endpoint("p", "10.0.0.1"), version=2), read("c", endpoint("r", "10.0.0.3"))]
    changed = table.replace({s.name: s for s in new})
    assert changed.lost == ("mesh/q",)
    assert [peer.key for peer in changed.found] == ["mesh/r"]


def test_lines_and_pages() -> None:
    content = versioned(make_slice("s", [endpoint("p", "10.0.0.1")]), 7)
    line = read_watch_line(json.dumps({"type": "DELETED", "object": content}).encode())
    assert (line.kind, line.resource_version) == (LineKind.DELETED, "7")
    mark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}}
    assert read_watch_line(json.dumps(mark).encode()).resource_version == "9"
    gone = {"type": "ERROR", "object": {"code": 410, "message": "too old"}}
    error = read_watch_line(json.dumps(gone).encode())
    assert (error.kind, error.status, error.reason) == (LineKind.ERROR, 410, "too old")
    page = {"metadata": {"resourceVersion": "9", "continue": "t"}, "items": [content, {"x": 1}, 5]}
    read_back = read_page(json.dumps(page).encode())
    assert (len(read_back.slices), read_back.next_token) == (1, "t")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"5", b"\xff", b'{"type":"NEW","object":{}}', b'{"type":7}', b"[" * 10**5],
)
def test_what_is_no_answer_is_malformed(text: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read_watch_line(text)
    with pytest.raises(MalformedAnswer):
        read_page(text)


def test_no_json_at_all_breaks_the_reader(rng: random.Random) -> None:
    good = json.loads(
        json.dumps({"type": "ADDED", "object": make_slice("s", [endpoint("p", "10.0.0.1")])})
    )
    for _ in range(2000):
        broken = json.loads(json.dumps(good))
        place = broken
        while isinstance(place, (dict, list)) and place:
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if rng.random() < 0.3:
                place[key] = rng.choice([None, 5, "x", [], {}, [None], {"a": 1}, True, -1.5])
                break
            place = place[key]
        try:
            read_watch_line(json.dumps(broken).encode())
        except MalformedAnswer:
            continue


def test_endpoints_that_move_between_slices_stay_the_same_peers(rng: random.Random) -> None:
    table, version = SliceTable(NAMING), 0

    def write(name: str, content: dict[str, object] | None) -> None:
        nonlocal version
        version += 1
        if content is None:
            table.remove(name)
        else:
            table.put(read_slice(versioned(json.loads(json.dumps(content)), version)))

    cluster = Cluster(write, slice_size=3)
    for n in range(40):
        cluster.add(f"p{n}", f"10.0.0.{n}", f"fd00::{n + 1:x}")
    for _ in range(300):
        cluster.move(rng)
        hosts = {s.node_id: {a.host for a in s.addresses} for s in table.sightings.values()}
        assert hosts == {pod.name: set(pod.hosts) for pod in cluster.pods.values()}
    for name in list(cluster.pods):
        cluster.remove(name)
    assert not table.sightings
    assert not table.slices
