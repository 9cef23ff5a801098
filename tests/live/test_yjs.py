"""npm's y-websocket clients against two nodes."""

from __future__ import annotations

import base64
import json
import socket
import struct
import urllib.request
from itertools import count
from typing import Any
from urllib.error import HTTPError

import pycrdt
import pytest

from peatnode.documents.yjs.lib0 import var_uint
from tests.live.yjs_clients import YjsClients
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

_numbers = count(1)


@pytest.fixture
def name() -> str:
    return f"live/doc-{next(_numbers)}"


def request(node: Node, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    asked = urllib.request.Request(node.url + path, data, headers, method=method)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def test_text_maps_arrays_and_xml_reach_another_node(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    here = clients.open(pair[0].url, name).wait_synced()
    there = clients.open(pair[1].url, name).wait_synced()
    here.run("doc.getText('text').insert(0, 'Grüße 🙂')")
    here.run("doc.getMap('map').set('key', { deep: [1, null, 'x'] })")
    here.run("doc.getArray('array').push([1, 'two', false])")
    here.run(
        "const p = new Y.XmlElement('p'); p.insert(0, [new Y.XmlText('hello')]);"
        "p.setAttribute('class', 'big'); doc.getXmlFragment('xml').insert(0, [p])"
    )
    there.wait_equal("doc.getText('text').toString()", "Grüße 🙂")
    there.wait_equal("doc.getMap('map').toJSON()", {"key": {"deep": [1, None, "x"]}})
    there.wait_equal("doc.getArray('array').toJSON()", [1, "two", False])
    there.wait_equal("doc.getXmlFragment('xml').toString()", '<p class="big">hello</p>')


def test_who_comes_later_gets_all(pair: list[Node], clients: YjsClients, name: str) -> None:
    first = clients.open(pair[0].url, name).wait_synced()
    first.run("doc.getText('t').insert(0, 'before')")
    other = clients.open(pair[1].url, name).wait_synced()
    other.wait_equal("doc.getText('t').toString()", "before")
    same = clients.open(pair[0].url, name).wait_synced()
    same.wait_equal("doc.getText('t').toString()", "before")


def test_both_type_at_once_and_end_alike(pair: list[Node], clients: YjsClients, name: str) -> None:
    here = clients.open(pair[0].url, name).wait_synced()
    there = clients.open(pair[1].url, name).wait_synced()
    for client, letter in ((here, "a"), (there, "b")):
        client.run(
            f"const t = doc.getText('t'); for (let i = 0; i < 200; i++) t.insert(t.length, '{letter}')"
        )
    for client in (here, there):
        client.wait("doc.getText('t').length === 400")
    assert here.run("doc.getText('t').toString()") == there.run("doc.getText('t').toString()")


def test_what_was_typed_while_away_is_sent_on_return(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    away = clients.open(pair[0].url, name).wait_synced()
    stays = clients.open(pair[1].url, name).wait_synced()
    away.run("provider.disconnect()")
    away.run("doc.getText('t').insert(0, 'offline ')")
    stays.run("doc.getText('t').insert(0, 'online ')")
    away.run("provider.connect()")
    for client in (away, stays):
        client.wait("doc.getText('t').length === 15")
    assert away.run("doc.getText('t').toString()") == stays.run("doc.getText('t').toString()")


def test_rest_and_yjs_see_one_document(pair: list[Node], clients: YjsClients, name: str) -> None:
    path = f"/documents/{name}"
    request(pair[0], "PUT", path, {"title": "plan", "tags": ["a", "b"], "by": {"name": "Ann"}})
    client = clients.open(pair[1].url, name).wait_synced()
    client.wait_equal("doc.getMap('root').get('/title')", "plan")
    client.wait_equal("doc.getMap('root').get('/by/name')", "Ann")
    client.wait_equal("doc.getMap('root').get('/tags')", {"type": "array"})
    client.wait_equal("doc.getArray('/tags').toJSON()", ["a", "b"])
    client.run(
        "const root = doc.getMap('root'); doc.getArray('/tags').push(['c']); root.set('/done', true);"
        "root.set('/body', { type: 'text' }); doc.getText('/body').insert(0, 'long text')"
    )
    wanted = {
        "title": "plan",
        "tags": ["a", "b", "c"],
        "by": {"name": "Ann"},
        "done": True,
        "body": "long text",
    }
    for node in pair:
        _wait_document(node, path, wanted)
    request(pair[0], "PATCH", path, {"title": "new plan", "body": "long, better text"})
    client.wait_equal("doc.getMap('root').get('/title')", "new plan")
    client.wait_equal("doc.getText('/body').toString()", "long, better text")


def _wait_document(node: Node, path: str, wanted: Any) -> None:
    def is_there() -> bool:
        try:
            return bool(request(node, "GET", path)["document"] == wanted)
        except HTTPError:
            return False

    wait(is_there, f"{path} to be {wanted}", 15)


def test_awareness_crosses_nodes_and_ends_with_the_client(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    here = clients.open(pair[0].url, name).wait_synced()
    here.run("awareness.setLocalStateField('user', { name: 'Ann' })")
    there = clients.open(pair[1].url, name).wait_synced()
    names = "[...awareness.getStates().values()].map((s) => s.user?.name).filter(Boolean)"
    there.wait_equal(names, ["Ann"])
    there.run("awareness.setLocalStateField('user', { name: 'Bo' })")
    here.wait(f"{names}.includes('Bo')")
    here.close()
    there.wait_equal(names, ["Bo"])


def test_who_comes_back_is_seen_at_once(pair: list[Node], clients: YjsClients, name: str) -> None:
    """Its awareness has the clock of its goodbye until it receives that clock."""
    here = clients.open(pair[0].url, name).wait_synced()
    there = clients.open(pair[1].url, name).wait_synced()
    here.run("awareness.setLocalStateField('user', 'Ann')")
    users = "[...awareness.getStates().values()].map((s) => s.user).filter(Boolean)"
    there.wait_equal(users, ["Ann"])
    here.run("provider.disconnect()")
    there.wait_equal(users, [])
    here.run("provider.connect()")
    there.wait(f"{users}.includes('Ann')", 5)
    assert here.run("awareness.getLocalState().user") == "Ann"


def test_one_who_leaves_takes_nobody_along(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    """Clients send back every awareness that they hear: that makes it not theirs."""
    opened = [clients.open(pair[0].url, name).wait_synced() for _ in range(3)]
    for number, client in enumerate(opened):
        client.run(f"awareness.setLocalStateField('user', {number})")
    for client in opened:
        client.wait("awareness.getStates().size === 3")
    opened[0].close()
    for client in opened[1:]:
        client.wait("awareness.getStates().size === 2")
    late = clients.open(pair[0].url, name).wait_synced()
    late.wait("awareness.getStates().size === 3", 5)


def test_last_words_are_kept(pair: list[Node], clients: YjsClients, name: str) -> None:
    client = clients.open(pair[0].url, name).wait_synced()
    client.run(
        "const t = doc.getText('t'); for (let i = 0; i < 500; i++) t.insert(t.length, 'x');"
        "provider.ws.close()"
    )
    client.close()
    late = clients.open(pair[1].url, name).wait_synced()
    late.wait("doc.getText('t').length === 500")


def test_last_words_are_kept_of_who_hears_no_answer(pair: list[Node], name: str) -> None:
    """It sends everything at once and leaves: undeliverable answers do not discard its unread messages."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    root = doc.get("root", type=pycrdt.Map)
    question = frame(b"\x00\x00\x01\x00")  # sync step 1
    said = b""
    for number in range(200):
        before = doc.get_state()
        root[f"/k{number}"] = number
        update = doc.get_update(before)
        said += question + frame(b"\x00\x02" + var_uint(len(update)) + update)
    goodbye = frame(struct.pack("!H", 1000), opcode=8)
    with socket.create_connection(("127.0.0.1", pair[0].api_port), 10) as sock:
        key = base64.b64encode(bytes(16)).decode()
        sock.sendall(
            f"GET /api/v1/yjs/{name} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert b"101" in sock.recv(4096)
        sock.sendall(said + goodbye)
        while sock.recv(65536):
            pass
    _wait_document(pair[1], f"/documents/{name}", {f"k{number}": number for number in range(200)})


def frame(payload: bytes, opcode: int = 2) -> bytes:
    """Of a WebSocket, masked with zeros as a client must."""
    return struct.pack("!BB4s", 0x80 | opcode, 0x80 | len(payload), bytes(4)) + payload


def test_a_deleted_document_ends_its_connections(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    path = f"/documents/{name}"
    request(pair[0], "PUT", path, {"a": 1})
    here = clients.open(pair[0].url, name).wait_synced()
    there = clients.open(pair[1].url, name).wait_synced()
    there.wait_equal("doc.getMap('root').get('/a')", 1)
    request(pair[0], "DELETE", path)
    for client in (here, there):
        client.wait("seen.closed")
        assert client.run("seen.closed.code") == 4410
    fresh = clients.open(pair[0].url, name).wait_synced()
    assert fresh.run("doc.getMap('root').size") == 0
    fresh.run("doc.getMap('root').set('/b', 2)")
    _wait_document(pair[1], path, {"b": 2})
    assert fresh.run("seen.closes") == []


def test_bad_messages_close_their_sender_alone(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    good = clients.open(pair[0].url, name).wait_synced()
    good.run("awareness.setLocalStateField('user', 1)")
    bad_messages = {
        "no message": "new Uint8Array([0, 9, 1])",
        "cut off": "new Uint8Array([0, 0, 200])",
        "text": "'hello'",
        "update that is none": "new Uint8Array([0, 2, 3, 1, 255, 255])",
        "awareness that is not JSON": "new Uint8Array([1, 5, 1, 9, 1, 1, 123])",
        "state vector that is none": "new Uint8Array([0, 0, 1, 5])",
    }
    for what, code in bad_messages.items():
        bad = clients.open(pair[0].url, name).wait_synced()
        bad.run(f"provider.ws.send({code})")
        assert bad.wait("seen.closed || (seen.closes.length && seen.closes)", 5), what
        assert 4400 <= bad.run("seen.closed.code") < 4500, what
        bad.close()
    good.run("doc.getText('t').insert(0, 'still here')")
    assert good.run("seen.closes") == []
    other = clients.open(pair[1].url, name).wait_synced()
    other.wait_equal("doc.getText('t').toString()", "still here")


def test_messages_of_later_protocols_are_passed_over(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    client = clients.open(pair[0].url, name).wait_synced()
    client.run("provider.ws.send(new Uint8Array([77, 1, 2, 3]))")
    client.run("doc.getText('t').insert(0, 'x')")
    _wait_document(pair[0], f"/documents/{name}", {})
    assert client.run("seen.closes") == []


def test_who_was_away_during_a_deletion_does_not_bring_it_back(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    path = f"/documents/{name}"
    request(pair[0], "PUT", path, {"a": 1})
    away = clients.open(pair[0].url, name).wait_synced()
    away.run("doc.getMap('root').set('/mine', 1)")
    _wait_document(pair[1], path, {"a": 1, "mine": 1})
    away.run("provider.disconnect()")
    away.run("doc.getMap('root').set('/offline', 1)")
    untouched = clients.open(pair[0].url, f"{name}-else", state=away.state())
    assert untouched.wait("provider.synced"), "another document takes it"
    request(pair[0], "DELETE", path)
    _wait_gone(pair[1], path)
    away.run("provider.connect()")
    away.wait("seen.closed && seen.closed.code === 4410")
    request(pair[1], "PUT", path, {"new": True})
    _wait_document(pair[0], path, {"new": True})
    fresh = clients.open(pair[1].url, name).wait_synced()
    fresh.wait_equal("doc.getMap('root').toJSON()", {"/new": True})
    for node in pair:
        late = clients.open(node.url, name, state=away.state())
        late.wait("seen.closed && seen.closed.code === 4410")
        _wait_document(node, path, {"new": True})
    fresh.run("provider.disconnect()")
    fresh.run("doc.getMap('root').set('/b', 2)")
    fresh.run("provider.connect()")
    _wait_document(pair[0], path, {"new": True, "b": 2})


def test_an_old_copy_ends_the_session_that_loads_it_and_no_other(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    path = f"/documents/{name}"
    old = clients.open(pair[0].url, name).wait_synced()
    old.run("doc.getMap('root').set('/old', true); doc.getText('t').insert(0, 'old')")
    _wait_document(pair[1], path, {"old": True})
    state = old.state()
    request(pair[1], "DELETE", path)
    old.wait("seen.closed")
    request(pair[1], "PUT", path, {"new": True})
    _wait_document(pair[0], path, {"new": True})
    guilty, honest, far = (
        clients.open(node.url, name).wait_synced() for node in (pair[0], pair[0], pair[1])
    )
    guilty.run(
        f"doc.getText('t').insert(0, 'fresh'); Y.applyUpdate(doc, Buffer.from('{state}', 'base64'));"
        "doc.getText('t').insert(0, 'and more')"
    )
    guilty.wait("seen.closed && seen.closed.code === 4410")
    honest.run("doc.getMap('root').set('/honest', 1)")
    far.wait_equal("doc.getMap('root').toJSON()", {"/new": True, "/honest": 1})
    for node in pair:
        _wait_document(node, path, {"new": True, "honest": 1})
    for client in (honest, far):
        assert client.run("doc.getText('t').toString()") in ("", "fresh")
        assert client.run("seen.closes") == []


def test_a_node_that_joins_after_a_deletion_knows_what_has_ended(clients: YjsClients) -> None:
    """It has never seen the old documents: one was written again before it came, of one it receives the tombstone."""
    paths = {"/documents/n/again": {"new": True}, "/documents/n/gone": None}
    with nodes(2, start=False) as (first, late):
        first.start()
        states = {}
        for path in paths:
            editor = clients.open(first.url, path.removeprefix("/documents/")).wait_synced()
            editor.run("doc.getMap('root').set('/old', true)")
            _wait_document(first, path, {"old": True})
            states[path] = editor.state()
            request(first, "DELETE", path)
        request(first, "PUT", "/documents/n/again", {"new": True})
        late.start()
        _wait_document(late, "/documents/n/again", {"new": True})
        wait(
            lambda: _root(late) == _root(first),
            "equal nodes",
        )
        for path, state in states.items():
            old = clients.open(late.url, path.removeprefix("/documents/")).wait_synced()
            old.run(f"Y.applyUpdate(doc, Buffer.from('{state}', 'base64'))")
            old.wait("seen.closed && seen.closed.code === 4410")
        _wait_document(late, "/documents/n/again", {"new": True})
        _wait_gone(late, "/documents/n/gone")


def _root(node: Node) -> str:
    root: str = request(node, "GET", "/node")["store"]["root"]
    return root


def _wait_gone(node: Node, path: str) -> None:
    def is_gone() -> bool:
        try:
            request(node, "GET", path)
        except HTTPError as error:
            return error.code == 404
        return False

    wait(is_gone, f"{path} to be gone", 15)


def test_a_large_document_can_be_opened_and_typed_in(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    """Beyond what may wait for a client that does not keep up."""
    writer = clients.open(pair[0].url, name).wait_synced()
    for _ in range(3):
        writer.run("doc.getText('t').insert(0, 'word '.repeat(500000))")
    reader = clients.open(pair[1].url, name)
    reader.wait("doc.getText('t').length === 7500000", 40)
    late = clients.open(pair[1].url, name).wait_synced()
    assert late.run("doc.getText('t').length") == 7500000
    late.run("doc.getText('t').insert(0, 'x')")
    writer.wait("doc.getText('t').length === 7500001")
    for client in (writer, reader, late):
        assert client.run("seen.closes") == []


def test_what_is_beyond_the_limits_is_refused_for_good(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    other = clients.open(pair[0].url, name).wait_synced()
    writer = clients.open(pair[0].url, name).wait_synced()
    for _ in range(3):
        writer.run("doc.getText('t').insert(0, 'x'.repeat(7000000))")
    writer.wait("seen.closed", 30)
    assert writer.run("seen.closed.code") == 4422
    assert "bytes" in writer.run("seen.closed.reason")
    other.run("doc.getMap('m').set('a', 1)")
    assert other.run("seen.closes") == []
