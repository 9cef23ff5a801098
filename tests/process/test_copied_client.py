"""A Yjs client that was restored from a copy writes other content under the same ids on two real nodes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pycrdt
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from peatnode.cli.commands import cli
from peatnode.documents.json.value import ROOT
from peatnode.documents.yjs.lib0 import var_uint
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

COPIED = 77


def written(text: str) -> bytes:
    doc: Any = pycrdt.Doc(client_id=COPIED)
    doc[ROOT] = pycrdt.Map()
    doc[ROOT]["/pay"] = text
    return bytes(doc.get_update())


def open_session(node: Node) -> ClientConnection:
    return connect(node.url.replace("http", "ws") + "/yjs/notes/payment", compression=None)


def write_as_client(node: Node, text: str) -> None:
    update = written(text)
    with open_session(node) as session:
        session.send(bytes((0, 2)) + var_uint(len(update)) + update)
        wait(lambda: value(node) == {"pay": text}, f"{node.name} to have it", 10)


def value(node: Node) -> dict[str, Any] | None:
    listed = node.get("/documents/notes?limit=10")["documents"]
    return next(({"pay": d.get("pay")} for d in listed if d["_id"] == "payment"), None)


def etag(node: Node) -> str:
    with urllib.request.urlopen(f"{node.url}/documents/notes/payment", timeout=10) as answer:
        return str(answer.headers["ETag"])


def conflict_events(node: Node) -> list[dict[str, Any]]:
    """The changes with the origin `conflict` among all changes up to now."""
    newest = node.get("/node")["store"]["sequence"]
    found = []
    with urllib.request.urlopen(f"{node.url}/events?since=0&types=SyncEvent", timeout=10) as feed:
        for line in feed:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                found.append(event)
                if event["sequence"] >= newest:
                    break
    return [event for event in found if event["origin"] == "conflict"]


def problems(node: Node) -> set[str]:
    return {problem["name"] for problem in node.get("/node")["problems"]}


@pytest.fixture(scope="module")
def met() -> Iterator[tuple[list[Node], ClientConnection]]:
    """Both nodes after they have met, and a session with the second one that was open before."""
    with nodes(2, start=False) as running:
        first, second = running
        first.peers, second.peers = [], []
        for node, text in zip(running, ("pay 100 to Alice", "pay 100 to Bob"), strict=True):
            node.start()
            write_as_client(node, text)
        with open_session(second) as session:
            first.stop()
            first.peers = [second.quic_port]
            first.start()
            wait(lambda: first.root() == second.root(), "the nodes to be equal", 20)
            for node in running:
                wait(lambda node=node: node.get("/conflicts")["count"] > 0, "it to be kept", 20)
            yield running, session


Met = tuple[list[Node], ClientConnection]


def test_both_have_the_same_content_under_the_same_etag(met: Met) -> None:
    first, second = met[0]
    assert value(first) == value(second)
    assert value(first) in ({"pay": "pay 100 to Alice"}, {"pay": "pay 100 to Bob"})
    assert etag(first) == etag(second)
    for node in met[0]:
        assert len(conflict_events(node)) == 1


def test_what_lost_is_readable_on_both_until_it_is_dismissed(met: Met) -> None:
    running = met[0]
    lost = {"pay 100 to Alice", "pay 100 to Bob"} - {str(value(running[0])["pay"])}  # type: ignore[index]
    sides = set()
    for node in running:
        (entry,) = node.get("/conflicts")["conflicts"]
        assert (entry["doc_id"], entry["clients"]) == ("payment", [COPIED])
        sides.add((entry["id"], entry["lost"]))
        assert {node.get(f"/conflicts/{entry['id']}")["value"]["pay"]} == lost
        assert "conflicts" in problems(node)
        for where in (["--url", node.url.removesuffix("/api/v1")], ["--data-dir", node.directory]):
            shown = run_cli("conflicts", "show", entry["id"], *map(str, where))
            assert {json.loads(shown)["pay"]} == lost
    assert len({id for id, _ in sides}) == 1
    assert {side for _, side in sides} == {"local", "peer"}
    where = (
        ["--url", running[0].url.removesuffix("/api/v1")],
        ["--data-dir", running[1].directory],
    )
    for node, options in zip(running, where, strict=True):
        listed = json.loads(run_cli("conflicts", "list", "-o", "json", *map(str, options)))
        run_cli("conflicts", "dismiss", listed[0]["id"], *map(str, options))
        wait(lambda node=node: "conflicts" not in problems(node), "the notice to end", 10)
        assert node.get("/conflicts")["count"] == 0


def test_a_page_that_may_hold_what_lost_has_to_load_the_document_again(met: Met) -> None:
    session = met[1]
    with pytest.raises(ConnectionClosed) as closed:
        receive_all(session)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4410


def receive_all(session: ClientConnection) -> None:
    while True:
        session.recv(timeout=10)


def run_cli(*args: str) -> str:
    result = CliRunner().invoke(cli, list(args))
    assert result.exit_code == 0, result.output
    return result.output
