"""Presence with y-websocket's client: tabs of one browser, a cut, many editors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count

import pytest

from tests.live.yjs_clients import YjsClients
from tests.support.nodes import Node
from tests.support.waiting import wait

USERS = "[...awareness.getStates().values()].map((s) => s.user).filter(Boolean).sort()"

_numbers = count(1)


@pytest.fixture
def name() -> str:
    return f"live/presence-{next(_numbers)}"


def dropped(node: Node) -> dict[str, float]:
    """States that the node has dropped, by the label of the reason."""
    return node.metrics("peatnode_yjs_presence_dropped_total")


def show(user: str) -> str:
    return f"awareness.setLocalStateField('user', '{user}')"


def test_two_tabs_of_one_browser_are_two_and_each_leaves_alone(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    """They pass on each other's states, also before the connection of the other one is open."""
    far = clients.open(pair[1].url, name).wait_synced()
    first = clients.open(pair[0].url, name, tab=True)
    first.run(show("first"))
    second = clients.open(pair[0].url, name, tab=True)
    second.run(show("second"))
    far.wait_equal(USERS, ["first", "second"])
    for number in range(20):
        first.run(show(f"first {number}"))
        second.run(show(f"second {number}"))
    far.wait_equal(USERS, ["first 19", "second 19"])
    second.close()
    far.wait_equal(USERS, ["first 19"])
    first.run(show("first alone"))
    far.wait_equal(USERS, ["first alone"])
    third = clients.open(pair[0].url, name, tab=True)
    third.run(show("third"))
    first.close()
    far.wait_equal(USERS, ["third"])


class Cable:
    """Passes bytes on between clients and a node, until it is cut: then both ends stay open and hear nothing."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._nodes: list[socket.socket] = []
        self._is_cut: list[threading.Event] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                node = socket.create_connection(("127.0.0.1", self._target))
                cut = threading.Event()
                self._clients.append(client)
                self._nodes.append(node)
                self._is_cut.append(cut)
                for source, target in ((client, node), (node, client)):
                    threading.Thread(target=_pass, args=(source, target, cut), daemon=True).start()

    def cut(self) -> None:
        """Cuts the connections that are open. Later ones work."""
        for cut in self._is_cut:
            cut.set()

    def end_first(self) -> None:
        """The node notices that its first connection is dead."""
        self._nodes[0].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for end in self._clients + self._nodes:
            end.close()


def _pass(source: socket.socket, target: socket.socket, cut: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            if not cut.is_set():
                target.sendall(data)


@pytest.fixture
def cable(pair: list[Node]) -> Iterator[Cable]:
    with closing(Cable(pair[0].api_port)) as made:
        yield made


def test_who_returns_while_its_old_connection_is_half_open_is_seen_and_moves_when_that_ends(
    pair: list[Node], clients: YjsClients, cable: Cable, name: str
) -> None:
    far = clients.open(pair[1].url, name).wait_synced()
    near = clients.open(pair[0].url, name).wait_synced()
    anna = clients.open(f"http://127.0.0.1:{cable.port}/api/v1", name).wait_synced()
    anna.run(show("Anna"))
    far.wait_equal(USERS, ["Anna"])
    before = dropped(pair[0]).get('reason="not_own"', 0)
    cable.cut()
    anna.run("provider.ws.terminate()")
    anna.wait("seen.connections === 2 && provider.synced")
    anna.run(show("Anna moves"))
    wait(lambda: dropped(pair[0]).get('reason="not_own"', 0) > before, "it to be dropped")
    assert far.run(USERS) == near.run(USERS) == ["Anna"]
    cable.end_first()
    for client in (far, near):
        client.wait_equal(USERS, ["Anna moves"])
    anna.run(show("Anna again"))
    far.wait_equal(USERS, ["Anna again"])
    anna.close()
    for client in (far, near):
        client.wait_equal(USERS, [])


def test_of_many_editors_who_move_at_once_nobody_is_lost_and_nothing_is_dropped(
    pair: list[Node], clients: YjsClients, name: str
) -> None:
    before = [dropped(node) for node in pair]
    editors = [clients.open(pair[n % 2].url, name) for n in range(24)]
    for editor in editors:
        editor.wait_synced()
    for move in range(10):
        for number, editor in enumerate(editors):
            editor.run(show(f"{number} {move}"))
    everybody = sorted(f"{number} 9" for number in range(24))
    for editor in editors:
        editor.wait_equal(USERS, everybody)
    for editor in editors[:4]:
        editor.close()
    left = [user for user in everybody if int(user.split()[0]) >= 4]
    for editor in editors[4:]:
        editor.wait_equal(USERS, left)
        assert editor.run("seen.closes") == []
    assert [dropped(node) for node in pair] == before
