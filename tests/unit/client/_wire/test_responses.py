import json
from typing import Any

import pytest

from peatnode.client import errors, models
from peatnode.client._wire import responses
from peatnode.client._wire.responses import NodeResponse


def answer(content: Any, status: int = 200, **headers: str) -> NodeResponse:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return NodeResponse(status, headers, body)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (412, errors.PreconditionFailed),
        (413, errors.TooLarge),
        (422, errors.InvalidRequest),
        (429, errors.Unavailable),
        (503, errors.Unavailable),
        (507, errors.Unavailable),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[errors.ProblemAnswer]) -> None:
    content = {
        "type": "urn:peatnode:problem:bad-name",
        "title": "T",
        "detail": "The name is empty.",
        "where": "document",
    }
    error = responses.problem_of(answer(content, status))
    assert type(error) is kind
    assert str(error) == "The name is empty."
    problem = error.problem
    assert (problem.status, problem.code, problem.where) == (status, "bad-name", "document")
    assert problem.content == content


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[]", b"\xff"])
def test_a_refusal_without_a_reason_is_one_all_the_same(body: bytes) -> None:
    error = responses.problem_of(answer(body, 502))
    assert isinstance(error, errors.Unavailable)
    assert "502" in str(error)


def test_a_written_document() -> None:
    written = responses.read_written(
        answer(
            {
                "collection": "c",
                "id": "i",
                "document": {"a": 1},
                "created": True,
                "changed": True,
                "fingerprint": "0af3",
                "sequence": 7,
                "expires_at": None,
                "replicas": {"wanted": 2, "have": 1, "peers": ["x"], "detail": "late"},
            },
            202,
        )
    )
    assert written == models.Written(
        "c", "i", {"a": 1}, "0af3", True, True, 7, None, models.Replicas(2, 1, ("x",), "late")
    )
    assert not written.replicas.is_complete  # type: ignore[union-attr]


def test_a_deleted_one_has_no_value() -> None:
    written = responses.read_written(
        answer({"collection": "c", "id": "i", "document": None, "deleted": True, "sequence": 9})
    )
    assert (written.value, written.sequence) == (None, 9)


def test_a_page_takes_the_name_out_of_each_document() -> None:
    page = responses.read_page(
        answer(
            {
                "collection": "c",
                "count": 1,
                "total": 5,
                "sequence": 3,
                "next_cursor": None,
                "documents": [{"a": 1, "_id": "i"}],
            }
        )
    )
    assert page.documents == (models.Document("c", "i", {"a": 1}),)
    assert (page.total, page.next_cursor) == (5, "")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"nonsense", b'{"collection":1}', b'{"documents":{}}', b'{"documents":[{"a":1}]}'],
)
def test_what_is_no_answer_of_a_node_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        responses.read_page(answer(body))


def test_what_a_newer_node_adds_is_kept_and_what_an_older_lacks_has_a_default() -> None:
    node = responses.read_node(answer({"node_id": "n", "uptime_secs": 3, "version": "9", "x": [1]}))
    assert (node.node_id, node.device_id, node.workers) == ("n", "", ())
    assert node.content["x"] == [1]
    assert node.sources is None


def test_where_a_node_looks_for_peers() -> None:
    mdns = {"name": "mdns", "state": "starting", "message": "m", "peers": 2, "age_secs": None}
    node = responses.read_node(answer({"discovery_sources": [mdns, {**mdns, "age_secs": 1.5}]}))
    assert node.sources == (
        models.Source("mdns", "starting", "m", 2, None),
        models.Source("mdns", "starting", "m", 2, 1.5),
    )
    assert responses.read_node(answer({"discovery_sources": None})).sources is None
    assert responses.read_node(answer({"discovery_sources": []})).sources == ()


def test_peers_and_how_far_their_documents_differ() -> None:
    content = {"peers": [{"id": "p"}, {"id": "q"}], "root": "0a", "differing": ["c/i"]}
    peers = responses.read_peers(answer(content))
    assert [peer.id for peer in peers] == ["p", "q"]
    assert (len(peers), peers[-1].id, peers[:1]) == (2, "q", (peers[0],))
    assert (peers.root, peers.differing) == ("0a", ("c/i",))
    assert not responses.read_peers(answer({}))


def test_a_node_that_is_not_ready_is_an_answer() -> None:
    content = {"ready": False, "node_id": "n", "checks": [{"name": "store", "ready": False}]}
    readiness = responses.read_readiness(answer(content, 503))
    assert not readiness.is_ready
    assert readiness.checks == (models.Check("store", False, ""),)


def test_a_proxy_that_says_503_is_not() -> None:
    with pytest.raises(errors.Unavailable):
        responses.read_readiness(answer({"error": "no upstream"}, 503))


def test_a_peer_nothing_is_known_of() -> None:
    peer = responses.read_peer(answer({"id": "p", "connected": False, "rtt_ms": None}))
    assert (peer.rtt_ms, peer.behind_documents, peer.out_of_sync_since) == (None, None, None)


def test_the_log_of_peers() -> None:
    content = {"events": [{"time": 1.5, "peer": "p", "kind": "equal", "new": 1}]}
    assert responses.read_peer_log(answer(content)) == (models.PeerLogEntry(1.5, "p", "equal", ""),)
    assert responses.read_peer_log(answer({})) == ()
    with pytest.raises(errors.UnexpectedAnswer):
        responses.read_peer_log(answer({"events": ["x"]}))


def test_lost_documents() -> None:
    listed = {"id": "0f", "time": 1.5, "collection": "c", "doc_id": "d", "lost": "peer"}
    (lost,) = responses.read_conflicts(answer({"conflicts": [{**listed, "bytes": 9}]}))
    assert (lost.id, lost.doc_id, lost.lost, lost.size) == ("0f", "d", "peer", 9)
    assert (lost.value, lost.update, lost.clients) == (None, b"", ())
    shown = responses.read_conflict(answer({**listed, "value": {"a": 1}, "update": "AAA="}))
    assert (shown.value, shown.update) == ({"a": 1}, b"\0\0")


def test_deleted_documents() -> None:
    entry = {"id": "a", "incarnation": 2, "deleted_at": 1.5, "until": 9.0, "origin": "", "bytes": 7}
    flags = {"expired": True, "live": False, "expires_at": None, "new": 1}
    page = responses.read_deleted_page(
        answer({"collection": "c", "deleted": [{**entry, **flags}], "next_cursor": "0f"})
    )
    (found,) = page.documents
    assert page.next_cursor == "0f"
    assert (found.collection, found.id, found.incarnation, found.size) == ("c", "a", 2, 7)
    assert (found.has_expired, found.is_live, found.value) == (True, False, None)
    read = responses.read_deleted_document(answer({"collection": "c", **entry, "document": {}}))
    assert (read.collection, read.value) == ("c", {})
    names = responses.read_deleted_collections(answer({"collections": [{"name": "c"}]}))
    assert names == (("c",), "")
