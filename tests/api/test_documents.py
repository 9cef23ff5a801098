"""Single documents over HTTP: bodies, statuses, conditions, bad input."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from peatnode.ipc.messages import Failed, Failure
from tests.api.conftest import Serve, Served

MERGE = {"content-type": "application/merge-patch+json"}
JSON_PATCH = {"content-type": "application/json-patch+json"}


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:peatnode:problem:{code}"
    assert body["error"] == body["detail"] != ""
    return body


async def test_put_get_delete(served: Served) -> None:
    http = served.http
    created = await http.put("/documents/notes/a", json={"x": 1})
    assert created.status_code == 201
    body = created.json()
    assert (body["collection"], body["id"], body["document"]) == ("notes", "a", {"x": 1})
    assert body["created"] is True
    assert created.headers["etag"] == f'"{body["fingerprint"]}"'

    changed = await http.put("/documents/notes/a", json={"x": 2})
    assert changed.status_code == 200
    assert changed.json()["changed"] is True

    read = await http.get("/documents/notes/a")
    assert read.status_code == 200
    assert read.json()["document"] == {"x": 2}
    assert read.headers["etag"] == changed.headers["etag"]

    deleted = await http.delete("/documents/notes/a")
    assert deleted.status_code == 200
    assert deleted.json()["deleted"] is True
    check_problem(await http.get("/documents/notes/a"), 404, "not-found")
    check_problem(await http.delete("/documents/notes/a"), 404, "not-found")


async def test_short_and_long_way_agree(served: Served) -> None:
    await served.http.put("/documents/notes/a", json={"x": 1})
    short = await served.http.get("/documents/notes/a")
    long = await served.http.get("/documents/notes/a", headers={"if-none-match": '"0"'})
    assert short.content == long.content
    ignored = ("date",)
    assert {k: v for k, v in short.headers.items() if k not in ignored} == {
        k: v for k, v in long.headers.items() if k not in ignored
    }
    missing = {"short": "/documents/notes/none", "long": "/documents/notes/n%6fne"}
    answers = [await served.http.get(path) for path in missing.values()]
    assert answers[0].content == answers[1].content


async def test_head_and_options(served: Served) -> None:
    put = await served.http.put("/documents/notes/a", json={"x": 1})
    read = await served.http.get("/documents/notes/a")
    head = await served.http.head("/documents/notes/a")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(read.content))
    assert head.headers["etag"] == put.headers["etag"]
    options = await served.http.options("/documents/notes/a")
    assert {"GET", "HEAD", "PUT", "PATCH", "DELETE"} <= set(options.headers["allow"].split(", "))
    refused = await served.http.post("/documents/notes/a", json={})
    check_problem(refused, 405, "method-not-allowed")
    assert "PUT" in refused.headers["allow"]
    check_problem(await served.http.get("/nothing"), 404, "not-found")


async def test_conditions(served: Served) -> None:
    http = served.http
    first = (await http.put("/documents/notes/a", json={"x": 1})).headers["etag"]

    async def get(**headers: str) -> int:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await http.get("/documents/notes/a", headers=names)).status_code

    assert await get(if_none_match=first) == 304
    assert await get(if_none_match=f"W/{first}") == 304
    assert await get(if_none_match=f'"00", {first}') == 304
    assert await get(if_none_match="*") == 304
    assert await get(if_none_match='"00"') == 200
    assert await get(if_match=first) == 200
    assert await get(if_match="*") == 200
    assert await get(if_match=f"W/{first}") == 412
    assert await get(if_match='"00", "11"') == 412
    assert await get(if_match="unquoted") == 400

    async def put(doc_id: str, **headers: str) -> int:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await http.put(f"/documents/notes/{doc_id}", json={"y": doc_id}, headers=names)
        return answer.status_code

    assert await put("a", if_match='"00"') == 412
    assert await put("a", if_none_match="*") == 412
    assert await put("none", if_match="*") == 412
    assert await put("new", if_none_match="*") == 201
    assert await put("a", if_match=f'"00", {first}') == 200
    assert await put("a", if_match=first) == 412


async def test_create_with_and_without_name(served: Served) -> None:
    http = served.http
    made = await http.post("/documents/notes", json={"x": 1})
    assert made.status_code == 201
    doc_id = made.json()["id"]
    assert made.headers["location"] == f"/api/v1/documents/notes/{doc_id}"
    assert (await http.get(f"/documents/notes/{doc_id}")).json()["document"] == {"x": 1}
    named = await http.post("/documents/notes", json={"_id": "b", "x": 2})
    assert named.status_code == 201
    assert named.json()["document"] == {"x": 2}
    marked = await http.post(
        "/documents/notes",
        content=b'\xef\xbb\xbf{"x":3}',
        headers={"content-type": "application/json"},
    )
    assert marked.json()["document"] == {"x": 3}
    check_problem(await http.post("/documents/notes", json={"_id": "b"}), 409, "exists")
    check_problem(await http.post("/documents/notes", json={"_id": 7}), 422, "invalid")
    check_problem(await http.post("/documents/notes", json={"_id": "a/b"}), 400, "bad-name")
    check_problem(await http.put("/documents/notes/c", json={"_id": "d"}), 422, "invalid")


async def test_patches(served: Served) -> None:
    http = served.http
    await http.put("/documents/notes/a", json={"x": 1})
    merged = await http.patch("/documents/notes/a", content=b'{"y": 2}', headers=MERGE)
    assert merged.json()["document"] == {"x": 1, "y": 2}
    operations = [{"op": "test", "path": "/x", "value": 1}]
    patched = await http.patch(
        "/documents/notes/a", content=json.dumps(operations), headers=JSON_PATCH
    )
    assert patched.json()["document"]["patched"] == 1
    wrong = await http.patch("/documents/notes/a", content=b"{}", headers=JSON_PATCH)
    check_problem(wrong, 422, "invalid")
    text = await http.patch(
        "/documents/notes/a", content=b"{}", headers={"content-type": "text/plain"}
    )
    check_problem(text, 415, "unsupported-media-type")
    assert "merge-patch" in text.headers["accept-patch"]


BAD_BODIES = [
    (b"", 400, "broken-json"),
    (b"{", 400, "broken-json"),
    (b'{"a": 1,\n "b": }', 400, "broken-json"),
    (b'{"a": NaN}', 400, "broken-json"),
    (b'{"a": Infinity}', 400, "broken-json"),
    (b'{"a": "\xff"}', 400, "broken-json"),
    (b'{"a": "\\ud800"}', 400, "broken-json"),
    (b'{"a": 1} x', 400, "broken-json"),
    (b"[1, 2]", 422, "not-an-object"),
    (b"7", 422, "not-an-object"),
    (b"null", 422, "not-an-object"),
    (b'{"a": 9223372036854775808}', 422, "number-out-of-range"),
    (b'{"a": [{"b": -9223372036854775809}]}', 422, "number-out-of-range"),
    (b'{"a": 123456789012345678901234567890}', 422, "number-out-of-range"),
    (b'{"a": 1e999}', 400, "broken-json"),
    (b'{"a":' * 70 + b"1" + b"}" * 70, 422, "too-deep"),
    (b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}", 422, "too-deep"),
    (b'{"' + b"k" * 2000 + b'": 1}', 422, "key-too-long"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES)
async def test_bad_bodies(served: Served, body: bytes, status: int, code: str) -> None:
    headers = {"content-type": "application/json"}
    answer = await served.http.put("/documents/notes/a", content=body, headers=headers)
    check_problem(answer, status, code)
    assert served.node.records == {}


async def test_broken_json_says_where(served: Served) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"a": 1,\n "b": }'
    answer = await served.http.put("/documents/notes/a", content=body, headers=headers)
    assert check_problem(answer, 400, "broken-json")["where"].startswith("line 2, column")


@pytest.mark.parametrize(
    "body", [b'{"a": 9223372036854775807}', b'{"a": 1e300}', b'{"a": 1e18}', b'{"a": {}}']
)
async def test_bodies_at_the_border(served: Served, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await served.http.put("/documents/notes/a", content=body, headers=headers)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "notes/%2e",
        "notes/..%20/x/y",
        "n%00/a",
        "notes/a%2Fb",
        "notes/%ff",
        "notes/%zz",
        "notes/50%",
        "notes/" + "n" * 300,
    ],
)
async def test_bad_names(served: Served, path: str) -> None:
    request = served.http.build_request("PUT", f"/documents/{path}", json={})
    request.url = request.url.copy_with(raw_path=f"/api/v1/documents/{path}".encode())
    answer = await served.http.send(request)
    assert answer.status_code in (400, 404, 405), answer.text
    assert served.node.records == {}


async def test_names_that_are_not_ascii(served: Served) -> None:
    for name in ("ü", "日本", "a b", "%41", "x?y#z", "."):
        from urllib.parse import quote

        path = f"/documents/notes/{quote(name, safe='')}"
        answer = await served.http.put(path, json={"n": name})
        if name == ".":
            continue  # clients resolve it away
        assert answer.json()["id"] == name
        assert (await served.http.get(path)).json()["document"] == {"n": name}


@pytest.mark.parametrize("query", ["", "?bulk"])
async def test_a_compressed_body_is_refused(served: Served, query: str) -> None:
    kind = "application/x-ndjson" if query else "application/json"
    headers = {"content-type": kind, "content-encoding": "gzip"}
    body = gzip.compress(b'{"a":1}')
    answer = await served.http.post(f"/documents/n{query}", content=body, headers=headers)
    problem = check_problem(answer, 415, "unsupported-media-type")
    assert problem["where"] == "Content-Encoding"
    assert answer.headers["accept-encoding"] == "identity"
    plain = {**headers, "content-encoding": "identity"}
    answer = await served.http.post(f"/documents/n{query}", content=b'{"a":1}', headers=plain)
    assert answer.status_code in (200, 201)


async def test_media_types_and_lengths(serve: Serve) -> None:
    served = await serve(body_bytes=1000)
    http = served.http
    form = {"content-type": "application/x-www-form-urlencoded"}
    check_problem(
        await http.put("/documents/n/a", content=b"{}", headers=form), 415, "unsupported-media-type"
    )
    check_problem(await http.post("/documents/n", content=b"{}"), 415, "unsupported-media-type")
    assert (await http.put("/documents/n/a", content=b"{}")).status_code == 201
    large = b'{"a": "' + b"x" * 2000 + b'"}'
    check_problem(await http.put("/documents/n/a", content=large), 413, "too-large")

    async def pieces():  # type: ignore[no-untyped-def]
        for start in range(0, len(large), 100):
            yield large[start : start + 100]

    check_problem(await http.put("/documents/n/a", content=pieces()), 413, "too-large")
    check_problem(await http.put("/documents/n/a"), 400, "broken-json")
    assert (await http.get("/documents/n/a")).json()["document"] == {}


async def test_parameters(served: Served) -> None:
    http = served.http
    await http.put("/documents/n/a", json={})
    assert (
        "tll"
        in check_problem(await http.put("/documents/n/a?tll=5", json={}), 400, "bad-parameter")[
            "detail"
        ]
    )
    for query in (
        "ttl=x",
        "ttl=-1",
        "ttl=nan",
        "ttl=1e99",
        "replicas=x",
        "replicas=-1",
        "timeout=99999",
    ):
        answer = await http.put(f"/documents/n/a?{query}", json={})
        assert check_problem(answer, 400, "bad-parameter")["where"] == query.partition("=")[0]
    check_problem(await http.get("/documents/n/a?x=1"), 400, "bad-parameter")


async def test_replicas(served: Served) -> None:
    served.node.replicas = 1
    enough = await served.http.put("/documents/n/a?replicas=1&timeout=1", json={"x": 1})
    assert enough.status_code == 201
    assert enough.json()["replicas"]["have"] == 1
    assert enough.headers["peat-replicas"] == "1"
    few = await served.http.put("/documents/n/a?replicas=3&timeout=0.1", json={"x": 2})
    assert few.status_code == 202
    assert few.json()["replicas"]["wanted"] == 3
    assert "1 of 3" in few.json()["replicas"]["detail"]
    assert few.json()["document"] == {"x": 2}
    await served.node.stop_worker("sync")
    unknown = await served.http.put("/documents/n/a?replicas=1&timeout=0.1", json={"x": 3})
    assert unknown.status_code == 202
    assert unknown.json()["replicas"]["have"] == 0


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (Failure.INVALID, 422, "invalid"),
        (Failure.TOO_LARGE, 413, "too-large"),
        (Failure.STORAGE, 507, "storage"),
        (Failure.QUARANTINED, 409, "quarantined"),
        (Failure.UNKNOWN_OUTCOME, 503, "unknown-outcome"),
    ],
)
async def test_refusals_of_the_store(
    served: Served, failure: Failure, status: int, code: str
) -> None:
    served.node.failure = Failed(failure, "It cannot be.", "/x")
    body = check_problem(await served.http.put("/documents/n/a", json={}), status, code)
    assert (body["detail"], body["where"]) == ("It cannot be.", "/x")
