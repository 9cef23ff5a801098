"""Tokens of Yjs clients, and clients that do not keep up."""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.live.yjs_clients import YjsClient, YjsClients
from tests.support.nodes import Node, nodes

API, READ = "token-to-write-with", "token-to-read-with"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Node]:
    """A node with both tokens."""
    with nodes(1, start=False) as (node,):
        node.settings = {"PEAT_API_TOKEN": API, "PEAT_READ_TOKEN": READ}
        node.start()
        yield node


def subprotocols(token: str) -> list[str]:
    text = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return ["peat", f"bearer.{text}"]


def test_a_reader_sees_and_does_not_write(guarded: Node, clients: YjsClients) -> None:
    writer = clients.open(guarded.url, "n/reader", token=API).wait_synced()
    writer.run("doc.getText('t').insert(0, 'kept')")
    reader = clients.open(guarded.url, "n/reader", protocols=subprotocols(READ)).wait_synced()
    assert reader.run("doc.getText('t').toString()") == "kept"
    assert reader.run("seen.warnings") == ["denied"]
    reader.run("doc.getText('t').insert(0, 'lost ')")
    reader.run("awareness.setLocalStateField('user', 'reader')")
    writer.run("awareness.setLocalStateField('user', 'writer')")
    users = "[...awareness.getStates().values()].map((s) => s.user).filter(Boolean)"
    reader.wait(f"{users}.includes('writer')")
    assert writer.run(users) == ["writer"], "a reader shows no presence"
    writer.run("doc.getText('t').insert(4, ', and more')")
    reader.wait("doc.getText('t').toString().includes('and more')")
    assert reader.run("seen.closes") == []
    late = clients.open(guarded.url, "n/reader", protocols=subprotocols(API)).wait_synced()
    late.wait_equal("doc.getText('t').toString()", "kept, and more")


@pytest.mark.parametrize("token", ["", "wrong"])
def test_strangers_get_nothing(guarded: Node, clients: YjsClients, token: str) -> None:
    stranger = clients.open(guarded.url, "n/reader", token=token)
    stranger.wait("seen.connections === 0 && provider.wsUnsuccessfulReconnects > 1")
    assert not stranger.run("provider.synced")


def test_a_client_that_does_not_read_is_closed_and_slows_nobody(
    guarded: Node, clients: YjsClients
) -> None:
    writer = clients.open(guarded.url, "n/slow", token=API).wait_synced()
    other = clients.open(guarded.url, "n/slow", token=API).wait_synced()
    with closing(_connected(guarded, "n/slow")) as slow:
        # 13 MB, in changes that leave no content behind
        writer.run(
            "const a = doc.getArray('a'); let left = 200;"
            "const step = () => { a.insert(0, ['x'.repeat(65536)]); a.delete(0, 1); if (--left) setTimeout(step, 1); };"
            "step()"
        )
        _wait_written(other, 200)
        writer.run("doc.getText('t').insert(0, 'done')")
        other.wait("doc.getText('t').toString() === 'done'")
        received = _read_all(slow)
    assert b"reads too slowly" in received[-200:]
    assert other.run("seen.closes") == writer.run("seen.closes") == []


def _wait_written(client: YjsClient, count: int) -> None:
    client.wait(
        f"Y.decodeStateVector(Y.encodeStateVector(doc)).values().next().value >= {count}", 40
    )


def _connected(node: Node, room: str) -> socket.socket:
    """A client that asks for all and then reads nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", node.api_port))
    sock.sendall(
        f"GET /api/v1/yjs/{room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Authorization: Bearer {API}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n".encode()
    )
    assert b"101" in sock.recv(4096)
    step_1 = bytes([0, 0, 1, 0])
    sock.sendall(struct.pack("!BB4s", 0x82, 0x80 | len(step_1), bytes(4)) + step_1)
    return sock


def _read_all(sock: socket.socket) -> bytes:
    last = b""
    while data := sock.recv(1 << 20):
        last = (last + data)[-1000:]
    return last


def test_clients_of_several_serving_processes_are_together(clients: YjsClients) -> None:
    with nodes(1, start=False) as (node,):
        node.settings = {"PEAT_BROKER_WORKERS": "2"}
        node.start()
        opened = [clients.open(node.url, "n/many").wait_synced() for _ in range(12)]
        for number, client in enumerate(opened):
            client.run(f"doc.getMap('m').set('{number}', 1)")
        for client in opened:
            client.wait("doc.getMap('m').size === 12")
            # a serving process that starts later learns of the others when they renew their states, every 15 s
            client.wait("awareness.getStates().size === 12", 35)
        opened[0].close()
        for client in opened[1:]:
            client.wait("awareness.getStates().size === 11")
