from typing import Any

import pytest

from peatnode.client._wire import requests
from peatnode.client._wire.requests import Conditions, ListQuery


def test_names_are_quoted_whole() -> None:
    call = requests.get_document("no tes", "a/b?ü")
    assert call.path == "/api/v1/documents/no%20tes/a%2Fb%3F%C3%BC"


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_of_dots_leads_nowhere_else(name: str) -> None:
    dots = "%2E" * len(name)
    assert requests.get_document(name, name).path == f"/api/v1/documents/{dots}/{dots}"
    assert requests.get_peer(name).path == f"/api/v1/peers/{dots}"
    assert requests.get_document("...", "a.b").path == "/api/v1/documents/.../a.b"


@pytest.mark.parametrize(
    ("conditions", "headers", "params"),
    [
        (Conditions(), (), ()),
        (Conditions(if_match="0af3"), (("If-Match", '"0af3"'),), ()),
        (Conditions(if_match='"0af3"'), (("If-Match", '"0af3"'),), ()),
        (Conditions(if_none_match="*"), (("If-None-Match", "*"),), ()),
        (Conditions(replicas=2, timeout=1.5), (), (("replicas", "2"), ("timeout", "1.5"))),
        (Conditions(ttl=60), (), (("ttl", "60"),)),
    ],
)
def test_conditions_are_said_as_http_has_them(
    conditions: Conditions, headers: Any, params: Any
) -> None:
    call = requests.put_document("c", "i", {"a": 1}, conditions)
    assert call.headers == (("Content-Type", "application/json"), *headers)
    assert call.params == params
    assert call.content == b'{"a":1}'


def test_waiting_for_peers_gives_the_answer_more_time() -> None:
    assert requests.put_document("c", "i", {}, Conditions()).extra_seconds == 0
    waiting = requests.delete_document("c", "i", Conditions(replicas=1, timeout=60))
    assert waiting.extra_seconds > 60


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_hold_is_not_sent(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        requests.put_document("c", "i", {"a": value}, Conditions())


@pytest.mark.parametrize(
    ("kind", "method", "content_type"),
    [
        ("put", "PUT", "application/json"),
        ("patch", "PATCH", "application/merge-patch+json"),
        ("json_patch", "PATCH", "application/json-patch+json"),
        ("create", "POST", "application/json"),
    ],
)
def test_each_kind_of_write(kind: str, method: str, content_type: str) -> None:
    call = requests.write(kind, "c", "i", b"{}", Conditions())
    assert (call.method, call.headers[0]) == (method, ("Content-Type", content_type))
    assert call.path == "/api/v1/documents/c" + ("" if kind == "create" else "/i")
    assert not call.changes_nothing


def test_a_query_repeats_where_and_joins_the_rest() -> None:
    query = ListQuery(where=("age>=30", "city=Oslo"), sort=("-age", "name"), fields=("a", "b.c"))
    call = requests.list_page("c", query, limit=5, cursor="x")
    assert call.params == (
        ("where", "age>=30"),
        ("where", "city=Oslo"),
        ("sort", "-age,name"),
        ("fields", "a,b.c"),
        ("limit", "5"),
        ("cursor", "x"),
    )


def test_peers_and_conflicts() -> None:
    assert requests.get_peer_log().path == "/api/v1/peer-log"
    assert requests.get_peer_log().changes_nothing
    forget = requests.forget_peer("a/b")
    assert (forget.method, forget.path) == ("DELETE", "/api/v1/peers/a%2Fb")
    assert not forget.changes_nothing
    block = requests.block_peer("a/b", "")
    assert (block.method, block.path, block.params) == ("PUT", "/api/v1/peers/a%2Fb/block", ())
    assert requests.block_peer("b", "a & b").params == (("reason", "a & b"),)
    assert requests.unblock_peer("b").method == "DELETE"
    allow = requests.allow_deletions("a/b")
    assert (allow.method, allow.path) == ("DELETE", "/api/v1/peers/a%2Fb/deletion-pause")
    assert requests.list_conflicts().path == "/api/v1/conflicts"
    assert requests.get_conflict("0f").path == "/api/v1/conflicts/0f"
    dismiss = requests.dismiss_conflict("0f")
    assert (dismiss.method, dismiss.path) == ("DELETE", "/api/v1/conflicts/0f")
    assert requests.list_quarantine().path == "/api/v1/quarantine"
    accept = requests.accept_quarantined("0f")
    assert (accept.method, accept.path) == ("POST", "/api/v1/quarantine/0f/accept")
    assert requests.drop_quarantined("0f").method == "DELETE"
    with pytest.raises(ValueError, match="peer is empty"):
        requests.forget_peer("")


def test_deleted_documents() -> None:
    listed = requests.list_deleted("c", "p", 1.5, 10, "0f")
    assert listed.path == "/api/v1/deleted/c"
    assert dict(listed.params) == {"prefix": "p", "since": "1.500", "limit": "10", "cursor": "0f"}
    assert requests.list_deleted("c").params == ()
    read = requests.get_deleted("c", "a/b", 0)
    assert (read.path, read.params) == ("/api/v1/deleted/c/a%2Fb", ())
    back = requests.undelete_document("c", "a", 3, Conditions(replicas=1))
    assert (back.method, back.path) == ("POST", "/api/v1/deleted/c/a/undelete")
    assert dict(back.params) == {"incarnation": "3", "replicas": "1", "timeout": "10"}
    assert not back.changes_nothing
    assert back.extra_seconds > 10.0
