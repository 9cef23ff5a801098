"""Random documents through the API, bulk requests, the sockets, the command line and the Python client: each way gives
the same verdict, and keeps the same value."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from peatnode.cli.commands import cli
from peatnode.cli.documents.socket_source import SocketDocuments
from peatnode.client import Client, ImportedLine, ProblemAnswer, Written
from peatnode.client._wire.requests import Conditions, encode
from peatnode.config import default_run_dir
from peatnode.documents.limits import MAX_DEPTH, MAX_KEY_BYTES
from peatnode.ipc.messages import WriteKind
from tests.support.json_texts import JsonTexts
from tests.support.nodes import Node, nodes

DOCUMENTS = int(os.environ.get("PEAT_SAME_VALUES", "40"))

Verdict = tuple[int, str, str]
"""Status (200 for 201 too), place, sentence."""

TAKEN: Verdict = (200, "", "")


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with nodes(1) as (one,):
        yield one


@dataclass
class Ways:
    """Sends one text in all ways, each into a collection of its own."""

    node: Node
    http: httpx.Client
    client: Client
    folder: Path
    named: dict[str, Verdict] = field(default_factory=dict)
    """As the document `x`, by the way."""
    lines: dict[str, Verdict] = field(default_factory=dict)
    """With a name from `_id`, or without one."""

    def send(self, body: bytes) -> None:
        json_type = {"content-type": "application/json"}
        self.named["api"] = verdict(
            self.http.put("/documents/api/x", content=body, headers=json_type)
        )
        self.named["client"] = tried(lambda: self.client.put("client", "x", body))
        self.named["command"] = self.command("command", body)
        self.lines["post"] = verdict(
            self.http.post("/documents/post", content=body, headers=json_type)
        )
        self.lines["create"] = tried(lambda: self.client.create("create", body))
        self.lines["bulk"] = self.bulk("bulk", body)
        self.lines["import"] = imported(list(self.client.import_documents("import", [body])))
        asyncio.run(self.on_sockets(body))

    def bulk(self, collection: str, body: bytes) -> Verdict:
        headers = {"content-type": "application/x-ndjson"}
        answer = self.http.post(f"/documents/{collection}?bulk", content=body, headers=headers)
        (line,) = answer.content.split(b"\n")[:-1]
        return verdict_of(json.loads(line))

    def command(self, collection: str, body: bytes) -> Verdict:
        """The status is unknown: the command ends with 1 for all that is refused."""
        file = self.folder / "body"
        file.write_bytes(body)
        arguments = ["doc", "put", collection, "x", f"@{file}"]
        done = CliRunner().invoke(cli, [*arguments, "--data-dir", str(self.node.directory)])
        return (200 if done.exit_code == 0 else 0, "", done.stderr)

    async def on_sockets(self, body: bytes) -> None:
        documents = SocketDocuments(default_run_dir(self.node.directory))
        try:
            await documents.write(WriteKind.PUT, "sockets", "x", body, Conditions())
            self.named["sockets"] = TAKEN
        except ProblemAnswer as error:
            self.named["sockets"] = refusal(error)
        self.lines["lines"] = imported(await documents.import_lines("lines", 1, [body]))
        await documents.close()

    def take(self, collection: str) -> list[Any]:
        """The values in the collection, which is empty then."""
        found = []
        for document in list(self.client.documents(collection)):
            kept = self.client.get(collection, document.id)
            assert self.client.delete(collection, document.id).was_changed
            found.append(kept.value)
        return found


def command(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def parsed(body: bytes) -> dict[str, Any]:
    """The document in a text; empty if it has none that the client can send."""
    with contextlib.suppress(ValueError):
        value = json.loads(body)
        if isinstance(value, dict) and encode(value):
            return value
    return {}


def verdict(answer: httpx.Response) -> Verdict:
    return verdict_of({"status": answer.status_code, **answer.json()})


def verdict_of(content: dict[str, Any]) -> Verdict:
    status = int(content["status"])
    if status < 300:
        return TAKEN
    return status, content.get("where", ""), content["detail"]


def tried(write: Any) -> Verdict:
    try:
        assert isinstance(write(), Written)
    except ProblemAnswer as error:
        return refusal(error)
    return TAKEN


def refusal(error: ProblemAnswer) -> Verdict:
    return error.problem.status, error.problem.where, error.problem.detail


def imported(lines: list[ImportedLine]) -> Verdict:
    (line,) = lines
    return TAKEN if line.is_written else (line.status, "", line.error)


def test_each_way_has_one_verdict_and_one_value(node: Node, tmp_path: Path, rng: Random) -> None:
    texts = JsonTexts(rng, MAX_DEPTH, MAX_KEY_BYTES)
    base = f"http://127.0.0.1:{node.api_port}"
    verdicts = set()
    with httpx.Client(base_url=f"{base}/api/v1", timeout=30) as http, Client(base) as client:
        for _ in range(DOCUMENTS):
            body = texts.document()
            ways = Ways(node, http, client, tmp_path)
            ways.send(body)
            check(ways, body)
            verdicts.add(ways.named["api"][0])
    assert {200, 400, 422} <= verdicts


def test_each_way_of_reading_gives_the_same_values(node: Node, tmp_path: Path, rng: Random) -> None:
    texts = JsonTexts(rng, MAX_DEPTH, MAX_KEY_BYTES)
    base = f"http://127.0.0.1:{node.api_port}"
    with Client(base) as client:
        sent = {}
        while len(sent) < DOCUMENTS:
            value = parsed(texts.document())
            if tried(lambda value=value: client.put("all", str(len(sent)), value)) == TAKEN:
                sent[str(len(sent))] = value
        kept = {name: client.get("all", name).value for name in sent}
        assert kept == sent
        assert {found.id: found.value for found in client.documents("all")} == kept
        assert {found.id: found.value for found in client.export_documents("all")} == kept
        watched = client.watch("all")
        seen = [next(watched) for _ in kept]
        assert {event.doc_id: event.value for event in seen} == kept
        events = client.events(since=0, collection="all", with_value=True)
        seen = [next(events) for _ in kept]
        assert {event.doc_id: event.value for event in seen} == kept
    for number, way in enumerate((["--data-dir", str(node.directory)], ["--url", base])):
        file = tmp_path / str(number)
        assert command("export", "all", str(file), *way) == ""
        listed = command("doc", "list", "all", "-o", "json", "--limit", "0", *way)
        lines = [json.loads(line) for line in listed.split("\n")[:-1]]
        exported = file.read_bytes().decode().split("\n")[:-1]
        assert lines == [json.loads(line) for line in exported]
        assert {line.pop("_id"): line for line in lines} == kept
        assert command("import", f"again-{number}", str(file), *way) == ""
        with Client(base) as client:
            again = {found.id: found.value for found in client.documents(f"again-{number}")}
        assert again == kept


def check(ways: Ways, body: bytes) -> None:
    status, where, detail = ways.named["api"]
    said = ways.named.pop("command")
    assert said[0] == (200 if status == 200 else 0), (body, said)
    assert status == 200 or detail in said[2], (body, said)
    assert set(ways.named.values()) == {(status, where, detail)}, (body, ways.named)

    post = ways.lines.pop("post")
    assert ways.lines.pop("create") == post, body
    in_lines = {(found[0], found[2]) for found in ways.lines.values()}
    assert len(in_lines) == 1, (body, ways.lines)
    (line,) = in_lines
    values = {name: ways.take(name) for name in ("api", "client", "command", "sockets")}
    assert all(found == values["api"] for found in values.values()), (body, values)
    assert len(values["api"]) == (status == 200), (body, values)
    listed = {name: ways.take(name) for name in ("post", "create", *ways.lines)}
    assert all(found == listed["bulk"] for name, found in listed.items() if name != "post"), body
    if not names_something_reserved(body):
        assert post == (status, where, detail), body
        assert line == (
            status,
            detail.replace("The body is", "The line is").replace("(line 1, ", "("),
        ), body
        assert listed["bulk"] == values["api"], (body, listed)


def names_something_reserved(body: bytes) -> bool:
    return b"_id" in body or b"_deleted" in body
