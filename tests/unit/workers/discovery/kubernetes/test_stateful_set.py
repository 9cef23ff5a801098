"""A StatefulSet and its events, read; and whether a pod of it comes back."""

import json
from typing import Any

import pytest

from tests.support.kubernetes_api.cluster import make_set
from workers.discovery.kubernetes.objects import MalformedAnswer
from workers.discovery.kubernetes.stateful_set import (
    PodPlace,
    SetState,
    read_pod_name,
    read_set,
    read_set_event,
    reason_to_leave,
)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("peat-mesh-0", PodPlace("peat-mesh", 0)),
        ("a-10", PodPlace("a", 10)),
        ("a-b-3-2", PodPlace("a-b-3", 2)),
        ("peat-mesh", None),
        ("peat-mesh-01", None),
        ("-1", None),
        ("7", None),
        ("peat-6d4b75cb6d-x7k2p", None),
        ("peat-" + "9" * 400, None),
    ],
)
def test_the_place_of_a_pod_is_in_its_name(name: str, place: PodPlace | None) -> None:
    assert read_pod_name(name) == place


def read(**spec: Any) -> SetState:
    content = make_set("peat-mesh", 3)
    content["spec"] |= spec
    return read_set(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("replicas", "first", "ordinal", "leaves"),
    [
        (3, 0, 0, False),
        (3, 0, 2, False),
        (3, 0, 3, True),
        (0, 0, 0, True),
        (2, 5, 5, False),
        (2, 5, 6, False),
        (2, 5, 7, True),
        (2, 5, 4, True),
    ],
)
def test_a_pod_comes_back_if_the_set_includes_its_ordinal(
    replicas: int, first: int, ordinal: int, leaves: bool
) -> None:
    state = read(replicas=replicas, ordinals={"start": first} if first else None)
    reason = reason_to_leave(PodPlace("peat-mesh", ordinal), state)
    assert reason == (f"the StatefulSet peat-mesh is scaled to {replicas}" if leaves else "")


def test_a_set_without_a_number_has_one_pod() -> None:
    state = read(replicas=None)
    assert not reason_to_leave(PodPlace("peat-mesh", 0), state)
    assert reason_to_leave(PodPlace("peat-mesh", 1), state)


def test_a_set_that_is_being_deleted_keeps_no_pod() -> None:
    content = make_set("peat-mesh", 3)
    content["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    state = read_set(json.dumps(content).encode())
    assert (
        reason_to_leave(PodPlace("peat-mesh", 0), state) == "the StatefulSet peat-mesh is deleted"
    )


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
def test_events_of_a_watch(kind: str) -> None:
    line = json.dumps({"type": kind, "object": make_set("peat-mesh", 3)}).encode()
    event = read_set_event(line)
    assert event.state is not None
    assert event.state.is_deleted is (kind == "DELETED")


def test_bookmarks_and_errors_tell_nothing_of_the_set() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}}
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    assert read_set_event(json.dumps(bookmark).encode()).state is None
    event = read_set_event(json.dumps(error).encode())
    assert (event.state, event.error) == (None, "too old")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kind": "Status", "metadata": {"name": "x"}}',
        b'{"metadata": {"name": "x"}, "spec": {"replicas": "3"}}',
        b'{"metadata": {"name": "x"}, "spec": {"replicas": -1}}',
        b'{"metadata": {"name": "x"}, "spec": {"replicas": true}}',
        b'{"metadata": {"name": "x"}, "spec": {"ordinals": 1}}',
    ],
)
def test_another_answer_is_malformed_and_not_a_departure(answer: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read_set(answer)
    with pytest.raises(MalformedAnswer):
        read_set_event(b'{"type": "MODIFIED", "object": ' + answer + b"}")
