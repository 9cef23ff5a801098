"""One table of writes, with the same outcome through the API, the CLI on the sockets and the store itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
import orjson
import pycrdt
import pytest
from click.testing import CliRunner

from peatnode.api.failures import from_failure
from peatnode.cli.commands import cli
from peatnode.cli.documents.socket_source import SocketDocuments
from peatnode.client import Client, Document, ImportedLine
from peatnode.client._wire.requests import Conditions, write
from peatnode.client.errors import ProblemAnswer
from peatnode.config import default_run_dir
from peatnode.errors import AskFailed
from peatnode.ipc.link import Link
from peatnode.ipc.messages import WriteDocument, WriteKind
from peatnode.model.documents import DocumentUpdate
from peatnode.model.sync import ApplyUpdates
from tests.support.nodes import Node, nodes

NO_CONDITIONS = Conditions()


@dataclass(frozen=True)
class Case:
    name: str
    body: bytes
    status: int
    """Of the API; 201: taken."""
    code: str = ""
    exit_status: int = 1
    kind: WriteKind = WriteKind.PUT
    conditions: Conditions = NO_CONDITIONS
    doc_id: str = "new"
    is_for_store: bool = False
    """The store refuses it too, with the same sentence and place."""


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def arrays(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def key_of(text: str, below: str = "1") -> bytes:
    return f'{{"{text}":{below}}}'.encode()


def path_of(keys: int, size: int) -> bytes:
    """Objects in each other, under keys of that many bytes."""
    return b"".join(b'{"%b":' % (b"k" * size) for _ in range(keys)) + b"1" + b"}" * keys


ADD = '[{{"op":"add","path":"/{}","value":1}}]'

MARK = b"\xef\xbb\xbf"

NO_NAMES = ("0", '""', "null", "false", "[]", "{}", "1.5", "7")
"""Values of `_id` that name no document."""

RESERVED_BY_PATCH = (
    '{"op":"add","path":"/_id","value":"old"}',
    '{"op":"add","path":"/_deleted","value":true}',
    '{"op":"move","from":"/a","path":"/_id"}',
    '{"op":"copy","from":"/a","path":"/_deleted"}',
    '{"op":"replace","path":"","value":{"_id":"old"}}',
    '{"op":"add","path":"","value":{"_deleted":false}}',
)

TAKEN = [
    Case("60 levels", nested(60), 201),
    Case("60 levels of arrays", arrays(60), 201),
    Case("key of 1,024 bytes", key_of("k" * 1024), 201),
    Case("key of 256 wide characters", key_of("\U0001d11e" * 256), 201),
    Case("path of 4,000 bytes", path_of(4, 999), 201),
    Case("a key that comes twice", b'{"a":1,"a":2}', 201),
    Case("its own _id", b'{"_id":"new","a":1}', 201),
    Case("reserved names further down", b'{"a":{"_id":0,"_deleted":true},"_rev":"1-a"}', 201),
    Case("a byte order mark", MARK + b' {"a":1}\r\n', 201),
    Case("a byte order mark and _id", MARK + b'{"_id":"new","a":1}', 201),
    Case("expires", b"{}", 201, conditions=Conditions(ttl=3600)),
    Case("does not exist yet", b"{}", 201, conditions=Conditions(if_none_match="*")),
]

REFUSED = [
    Case("61 levels", nested(61), 422, "too-deep", is_for_store=True),
    Case("61 levels of arrays", arrays(61), 422, "too-deep", is_for_store=True),
    Case("key of 1,025 bytes", key_of("k" * 1025), 422, "key-too-long", is_for_store=True),
    Case(
        "key of 257 wide characters",
        key_of("\U0001d11e" * 257),
        422,
        "key-too-long",
        is_for_store=True,
    ),
    Case(
        "long key deeper down",
        key_of("a", f'[{{"b":{{"{"k" * 1025}":1}}}}]'),
        422,
        "key-too-long",
        is_for_store=True,
    ),
    Case("path of 5,000 bytes", path_of(5, 999), 422, "invalid", is_for_store=True),
    Case("2**63", b'{"a":[9223372036854775808]}', 422, "number-out-of-range", is_for_store=True),
    Case("30 digits", b'{"a":-' + b"9" * 30 + b"}", 422, "number-out-of-range", is_for_store=True),
    Case("an array", b"[1]", 422, "not-an-object", is_for_store=True),
    Case(
        "long key in a patch",
        key_of("k" * 1025),
        422,
        "key-too-long",
        1,
        WriteKind.PATCH,
        doc_id="old",
        is_for_store=True,
    ),
    Case(
        "long key in a JSON Patch",
        ADD.format("k" * 1025).encode(),
        422,
        "invalid",
        1,
        WriteKind.JSON_PATCH,
        doc_id="old",
        is_for_store=True,
    ),
    Case(
        "a patch that nests deeper",
        b'{"deep":' + nested(60) + b"}",
        422,
        "too-deep",
        1,
        WriteKind.PATCH,
        doc_id="old",
        is_for_store=True,
    ),
    Case("no JSON", b'{"a":', 400, "broken-json"),
    Case("nothing", b"", 400, "broken-json"),
    Case("NaN", b'{"a":NaN}', 400, "broken-json"),
    Case("infinity", b'{"a":1e999}', 400, "broken-json"),
    Case("two byte order marks", MARK + MARK + b'{"a":1}', 400, "broken-json"),
    Case("a byte order mark alone", MARK, 400, "broken-json"),
    Case("UTF-16", '{"a":1}'.encode("utf-16"), 400, "broken-json"),
    Case("no UTF-8", b'{"a":"\xff"}', 400, "broken-json"),
    Case("half a surrogate", b'{"a":"\\ud800"}', 400, "broken-json"),
    Case("another _id", b'{"_id":"other"}', 422, "invalid"),
    *(
        Case(f"an _id that is {value}", b'{"_id":%b,"a":1}' % value.encode(), 422, "invalid")
        for value in NO_NAMES
    ),
    *(
        Case(f"_deleted {value}", body, 422, "invalid", 1, kind, doc_id="old", is_for_store=True)
        for value in ("true", "false", '{"a":1}', "[]")
        for body in [b'{"_deleted":%b,"a":1}' % value.encode()]
        for kind in (WriteKind.PUT, WriteKind.PATCH)
    ),
    Case("a new document with _deleted", b'{"_deleted":0}', 422, "invalid", is_for_store=True),
    *(
        Case(
            f"the operation {operation}",
            b"[%b]" % operation.encode(),
            422,
            "invalid",
            1,
            WriteKind.JSON_PATCH,
            doc_id="old",
            is_for_store=True,
        )
        for operation in RESERVED_BY_PATCH
    ),
    Case("a patch that is no array", b"{}", 422, "invalid", 1, WriteKind.JSON_PATCH, doc_id="old"),
    Case("a name with a tab", b"{}", 400, "bad-name", doc_id="a\tb"),
    Case("a long name", b"{}", 400, "bad-name", doc_id="d" * 257),
    Case(
        "no entity tag",
        b"{}",
        400,
        "bad-condition",
        conditions=Conditions(if_match='x"y"'),
        doc_id="old",
    ),
    Case(
        "another etag",
        b"{}",
        412,
        "precondition-failed",
        6,
        doc_id="old",
        conditions=Conditions(if_match="ab" * 16),
    ),
    Case(
        "upper case is another etag",
        b"{}",
        412,
        "precondition-failed",
        6,
        doc_id="old",
        conditions=Conditions(if_match="AB" * 16),
    ),
    Case(
        "exists already",
        b"{}",
        412,
        "precondition-failed",
        6,
        doc_id="old",
        conditions=Conditions(if_none_match="*"),
    ),
    Case("lives too long", b"{}", 400, "bad-parameter", conditions=Conditions(ttl=1e12)),
    Case("too many peers", b"{}", 400, "bad-parameter", conditions=Conditions(replicas=1001)),
    Case("patches nothing", b"{}", 404, "not-found", 5, WriteKind.PATCH, is_for_store=True),
    Case("deletes nothing", b"", 404, "not-found", 5, WriteKind.DELETE, is_for_store=True),
]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with nodes(1) as (one,):
        answer = httpx.put(url_of(one, "/documents/c/old"), json={"a": 1})
        assert answer.status_code == 201
        yield one


def url_of(node: Node, path: str) -> str:
    return f"http://127.0.0.1:{node.api_port}/api/v1{path}"


def through_api(node: Node, case: Case, collection: str) -> httpx.Response:
    call = write(str(case.kind), collection, case.doc_id, case.body, case.conditions)
    return httpx.request(
        call.method,
        f"http://127.0.0.1:{node.api_port}{call.path}",
        params=dict(call.params),
        headers=dict(call.headers),
        content=call.content,
    )


def through_sockets(node: Node, case: Case, collection: str) -> ProblemAnswer | None:
    async def carry_out() -> ProblemAnswer | None:
        documents = SocketDocuments(run_dir(node))
        try:
            await documents.write(case.kind, collection, case.doc_id, case.body, case.conditions)
        except ProblemAnswer as error:
            return error
        finally:
            await documents.close()
        return None

    return asyncio.run(carry_out())


def run_dir(node: Node) -> Path:
    return default_run_dir(node.directory)


def through_cli(node: Node, case: Case, collection: str, body: Path) -> tuple[int, str]:
    """The exit status and what is said."""
    command = "patch" if case.kind is WriteKind.JSON_PATCH else str(case.kind)
    arguments = ["doc", command, collection, case.doc_id]
    if case.kind is not WriteKind.DELETE:
        body.write_bytes(case.body)
        arguments.append(f"@{body}")
    if case.kind is WriteKind.JSON_PATCH:
        arguments.append("--json-patch")
    for option, value in (
        ("--if-match", case.conditions.if_match),
        ("--if-none-match", case.conditions.if_none_match),
        ("--ttl", case.conditions.ttl),
        ("--replicas", case.conditions.replicas),
    ):
        if value:
            arguments += [option, str(value)]
    done = CliRunner().invoke(cli, [*arguments, "--data-dir", str(node.directory)])
    return done.exit_code, done.output


async def to_store(node: Node, case: Case, collection: str) -> AskFailed | None:
    message = WriteDocument(collection, case.doc_id, case.kind, case.body)
    async with await Link.connect(run_dir(node) / "store.sock", "cli") as link:
        try:
            await link.ask(message, 10.0)
        except AskFailed as failure:
            return failure
    return None


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_all_take(node: Node, case: Case, tmp_path: Path) -> None:
    name = "taken-" + str(TAKEN.index(case))
    answer = through_api(node, case, f"{name}-api")
    assert answer.status_code == case.status, answer.text
    assert through_sockets(node, case, f"{name}-sockets") is None
    status, output = through_cli(node, case, f"{name}-cli", tmp_path / "body")
    assert status == 0, output
    stored = [
        httpx.get(url_of(node, f"/documents/{name}-{way}/{case.doc_id}")).json()["document"]
        for way in ("api", "sockets", "cli")
    ]
    assert stored[0] == stored[1] == stored[2]
    if b"_id" not in case.body and not case.body.startswith(MARK):
        assert asyncio.run(to_store(node, case, f"{name}-store")) is None


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_all_refuse_with_the_same_answer(node: Node, case: Case, tmp_path: Path) -> None:
    answer = through_api(node, case, "c")
    content = answer.json()
    assert (answer.status_code, content["type"].rpartition(":")[2]) == (case.status, case.code)
    refusal = through_sockets(node, case, "c")
    assert refusal is not None
    problem = refusal.problem
    assert (problem.status, problem.code) == (case.status, case.code)
    assert (problem.detail, problem.where) == (content["detail"], content.get("where", ""))
    status, output = through_cli(node, case, "c", tmp_path / "body")
    assert status == case.exit_status, output
    assert content["detail"] in output
    if case.is_for_store:
        failure = asyncio.run(to_store(node, case, "c"))
        assert failure is not None
        same = from_failure(failure)
        assert (same.status, same.detail) == (case.status, content["detail"])
        assert same.where == content.get("where", "")
    assert httpx.get(url_of(node, "/documents/c/new")).status_code == 404


LINES = [
    (b'{"_id":"a","n":1}', 201),
    (b'{"_id":"%b"}' % (b"d" * 257), 400),
    (b"[1]", 422),
    (b"nonsense", 400),
    (b"", 0),
    (MARK, 0),
    (MARK + b" \r", 0),
    (MARK + b'{"_id":"a","n":2}\r', 200),
    (b'{"_id":"a",\r"n":2}', 200),
    (MARK + b'{"_id":"a","n":}', 400),
    (b'{"_id":"deep","a":' + nested(60) + b"}", 422),
    (b'{"_id":"long","' + b"k" * 1025 + b'":1}', 422),
    *((b'{"_id":%b,"n":1}' % value.encode(), 422) for value in NO_NAMES),
    (b'{"_deleted":true}', 422),
    (b'{"_id":"a","_deleted":true,"n":1}', 422),
    (b'{"_id":"a","_rev":"1-a","_deleted":true}', 422),
    *((b'{"_id":"a","_deleted":%b}' % value, 422) for value in (b"1", b"1.0", b"null", b"false")),
    (b'{"_id":"a","_deleted":true}', 200),
    (b'{"_id":"a","_deleted":true}', 404),
    (b'{"_id":"b","_rev":"1-a","n":{"_deleted":true}}', 201),
]
"""Lines of an import, and the status of the answer; 0: none."""


async def lines_on_sockets(node: Node, collection: str, lines: list[bytes]) -> list[ImportedLine]:
    documents = SocketDocuments(run_dir(node))
    answers = await documents.import_lines(collection, 1, lines)
    await documents.close()
    return answers


def bulk(node: Node, collection: str, lines: list[bytes]) -> list[dict[str, Any]]:
    answer = httpx.post(
        url_of(node, f"/documents/{collection}?bulk=true"),
        content=b"\n".join(lines),
        headers={"content-type": "application/x-ndjson"},
        timeout=30,
    )
    return [json.loads(line) for line in answer.content.split(b"\n")[:-1]]


def test_each_line_of_an_import_has_the_same_answer(node: Node) -> None:
    lines = [line for line, _ in LINES]
    answers = [
        (one["line"], one.get("id", ""), one["status"], one.get("detail", ""))
        for one in bulk(node, "lines-api", lines)
    ]
    on_sockets = asyncio.run(lines_on_sockets(node, "lines-sockets", lines))
    assert [(one.line, one.id, one.status, one.error) for one in on_sockets] == answers
    assert [(number, status) for number, _, status, _ in answers] == [
        (number, status) for number, (_, status) in enumerate(LINES, 1) if status
    ]
    for way in ("api", "sockets"):
        listed = httpx.get(url_of(node, f"/documents/lines-{way}")).json()["documents"]
        assert listed == [{"_id": "b", "_rev": "1-a", "n": {"_deleted": True}}]


def test_lines_of_one_document_take_effect_in_their_order(node: Node, rng: Random) -> None:
    """An export relies on it: what changes meanwhile comes again at its end. Some changes need the engine."""
    lines, kept = [], dict[str, Any]()
    for number in range(250):
        name = str(rng.randrange(6))
        value: dict[str, Any] = {"n": number, "list": list(range(number % 5))}
        if rng.random() < 0.2:
            value["long"] = ["x" * 1000] * 20
        is_deletion = rng.random() < 0.3
        lines.append(orjson.dumps({"_id": name, **({"_deleted": True} if is_deletion else value)}))
        kept[name] = None if is_deletion else value
    bulk(node, "ordered-api", lines)
    asyncio.run(lines_on_sockets(node, "ordered-sockets", lines))
    held = {name: value for name, value in kept.items() if value is not None}
    for way in ("api", "sockets"):
        listed = httpx.get(url_of(node, f"/documents/ordered-{way}")).json()["documents"]
        assert {document.pop("_id"): document for document in listed} == held


def test_a_file_of_the_command_line_has_the_same_answers(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"\n".join(line for line, _ in LINES if b"true}" not in line))
    numbers = [
        f"line {number}"
        for number, status in enumerate((s for line, s in LINES if b"true}" not in line), 1)
        if status >= 400
    ]
    for way in (
        ["--data-dir", str(node.directory)],
        ["--url", f"http://127.0.0.1:{node.api_port}"],
    ):
        arguments = ["import", f"file-{way[0][2:]}", str(file), *way]
        done = CliRunner().invoke(cli, arguments, standalone_mode=False)
        assert done.return_value == 1
        assert [line.partition(":")[0] for line in done.stderr.split("\n")[:-2]] == numbers


WRITTEN_BY_YJS = {"_id": "another", "_deleted": True, "a": 1}


@pytest.fixture(scope="module")
def yjs_document(node: Node) -> Node:
    """The node with a document `yjs/d` that a Yjs client has written, with members of reserved names."""
    doc: Any = pycrdt.Doc()
    root = doc["root"] = pycrdt.Map()
    for name, member in WRITTEN_BY_YJS.items():
        root[f"/{name}"] = member
    update = DocumentUpdate("yjs", "d", 1, False, 0.0, doc.get_update())

    async def apply() -> None:
        async with await Link.connect(run_dir(node) / "store.sock", "cli") as link:
            await link.ask(ApplyUpdates((update,), "client"), 10.0)

    asyncio.run(apply())
    return node


def ways(node: Node) -> tuple[list[str], list[str]]:
    url = f"http://127.0.0.1:{node.api_port}"
    return ["--data-dir", str(node.directory)], ["--url", url]


def value_of(node: Node, name: str) -> Any:
    return httpx.get(url_of(node, f"/documents/{name}")).json()["document"]


def test_a_document_with_reserved_members_of_a_yjs_client_is_read_and_never_deleted(
    yjs_document: Node, tmp_path: Path
) -> None:
    node = yjs_document
    assert value_of(node, "yjs/d") == WRITTEN_BY_YJS
    listed = {"_id": "d", "a": 1}
    for query in ("", "?fields=_id,_deleted,a", "?where=_deleted=true"):
        assert httpx.get(url_of(node, f"/documents/yjs{query}")).json()["documents"] == [listed]
    exported = httpx.get(url_of(node, "/documents/yjs?format=ndjson")).content
    assert json.loads(exported) == listed
    with Client(f"http://127.0.0.1:{node.api_port}") as client:
        assert list(client.export_documents("yjs")) == [Document("yjs", "d", {"a": 1})]
    for number, way in enumerate(ways(node)):
        file = tmp_path / f"{number}.ndjson"
        assert CliRunner().invoke(cli, ["export", "yjs", str(file), *way]).exit_code == 0
        assert json.loads(file.read_bytes()) == listed
        into = f"copied-{number}"
        assert CliRunner().invoke(cli, ["import", into, str(file), *way]).exit_code == 0
        assert value_of(node, f"{into}/d") == {"a": 1}
    assert value_of(node, "yjs/d") == WRITTEN_BY_YJS


def test_reserved_members_of_a_yjs_client_may_stay_or_go_but_not_change(yjs_document: Node) -> None:
    node = yjs_document
    document = url_of(node, "/documents/yjs/d")

    def json_patch(operation: str) -> int:
        headers = {"content-type": "application/json-patch+json"}
        return httpx.patch(document, content=f"[{operation}]", headers=headers).status_code

    assert httpx.patch(document, json={"a": 2}).status_code == 200
    assert httpx.patch(document, json={"_deleted": False}).status_code == 422
    assert json_patch('{"op":"replace","path":"/_id","value":"d"}') == 422
    assert value_of(node, "yjs/d") == WRITTEN_BY_YJS | {"a": 2}
    assert json_patch('{"op":"remove","path":"/_id"}') == 200
    assert httpx.put(document, json={"_deleted": True, "a": 3}).status_code == 200
    assert value_of(node, "yjs/d") == {"_deleted": True, "a": 3}
    assert httpx.put(document, json={"a": 1}).status_code == 200
    assert value_of(node, "yjs/d") == {"a": 1}


def test_a_deletion_of_what_does_not_exist_fails_no_import(node: Node, tmp_path: Path) -> None:
    """An export contains it, if a document was created and deleted while the export ran."""
    file = tmp_path / "exported"
    file.write_bytes(b'{"_id":"never","_deleted":true}\n{"_id":"kept"}\n')
    for way in ways(node):
        done = CliRunner().invoke(cli, ["import", "gone", str(file), *way], standalone_mode=False)
        assert done.return_value == 0
        assert done.stderr.startswith("1 document written to gone in")


def test_long_names_above_many_members_are_refused_by_a_store_that_goes_on(node: Node) -> None:
    """240 kB of JSON would take 60 MB as a Yjs update."""
    document = url_of(node, "/documents/c/long-names")

    def body(members: int, letter: bytes = b"k") -> bytes:
        below = orjson.dumps({f"a{number}": number for number in range(members)})
        return path_of(3, 1000).replace(b"1", below).replace(b"k", letter)

    def refusal(answer: httpx.Response) -> str:
        content = answer.json()
        assert (answer.status_code, content["type"]) == (413, "urn:peatnode:problem:too-large")
        return str(content["detail"])

    names = "The names along the paths to all members"
    assert refusal(httpx.put(document, content=body(20_000), timeout=30)).startswith(names)
    assert httpx.put(document, content=body(1390), timeout=30).status_code in (200, 201)
    assert refusal(httpx.put(document, content=body(1400), timeout=30)).startswith(names)
    # what is accepted can be changed
    assert httpx.patch(document, json={"a": 1}, timeout=30).status_code == 200
    assert httpx.put(document, content=body(1390, b"m"), timeout=30).status_code == 200
    assert httpx.get(document).json()["document"] == json.loads(body(1390, b"m"))
    store = httpx.get(url_of(node, "/node")).json()["workers"][0]
    assert (store["name"], store["restarts"]) == ("store", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["doc", "get", "c", ""],
        ["doc", "get", "c", "\udcff"],
        ["doc", "put", "c", "x", '{"a":"\udcff"}'],
        ["doc", "put", "c", "x", "{}", "--if-match", "\u00fc"],
        ["doc", "delete", "", "x"],
        ["doc", "list", ".c"],
        ["doc", "list", "c", "--prefix", "\udcff"],
        ["doc", "list", "c", "--where", "\udcff=1"],
        ["doc", "watch", "c", "--prefix", "\udcff"],
        ["doc", "watch", ".c"],
        ["doc", "watch", "c", "a\tb"],
        ["import", "", "-"],
        ["export", "", "-"],
    ],
    ids=ascii,
)
def test_arguments_that_no_node_takes_are_refused_alike(node: Node, arguments: list[str]) -> None:
    outputs = set()
    for way in ways(node):
        done = CliRunner().invoke(cli, [*arguments, *way])
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit), "a sentence, not a traceback"
        outputs.add(done.output)
    assert len(outputs) == 1


def test_a_body_that_no_link_carries_is_refused(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "body"
    file.write_bytes(b'{"a":"' + b"x" * (70 * 2**20) + b'"}')
    for way in ways(node):
        done = CliRunner().invoke(cli, ["doc", "put", "c", "huge", f"@{file}", *way])
        assert "The body is larger than" in done.output
        assert isinstance(done.exception, SystemExit)
