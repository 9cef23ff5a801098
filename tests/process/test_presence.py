"""Presence on real nodes: whatever a client says of itself, the nodes stay connected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count

import pytest
from websockets.sync.client import ClientConnection, connect

from peatnode.model.peer_limits import MAX_AWARENESS_STATE_BYTES
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait
from workers.broker.yjs.awareness import ClientState, decode_states, encode_states
from workers.broker.yjs.wire import AwarenessMessage, decode, encode_awareness

ROOM = "notes/presence"

_ids = count(1)


@pytest.fixture(scope="module")
def pair() -> Iterator[list[Node]]:
    with nodes(2) as started:
        yield started


class Client:
    """A client with one connection, which sends states as it likes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: dict[int, bytes] = {}

    def say(self, *states: ClientState) -> None:
        self.socket.send(encode_awareness(encode_states(states)))

    def sees(self, client: int, state: bytes) -> bool:
        while True:
            try:
                data = self.socket.recv(timeout=0)
            except TimeoutError:
                return self.seen.get(client) == state
            assert isinstance(data, bytes)
            message = decode(data)
            if isinstance(message, AwarenessMessage):
                self.seen |= {s.client: s.state for s in decode_states(message.payload)}


Join = Callable[[Node], Client]


@pytest.fixture
def join() -> Iterator[Join]:
    """Opens clients, which are closed at the end of the test."""
    with ExitStack() as stack:

        def open_client(node: Node) -> Client:
            url = node.url.replace("http", "ws") + f"/yjs/{ROOM}"
            return Client(stack.enter_context(connect(url, compression=None, max_size=None)))

        yield open_client


def disconnections(node: Node) -> int:
    return sum(event["kind"] == "disconnected" for event in node.get("/peer-log")["events"])


def text_of(size: int) -> bytes:
    """JSON of this size."""
    return b'"' + b"x" * (size - 2) + b'"'


def too_large(node: Node) -> float:
    """States that the node has dropped for their size."""
    return node.metrics("peatnode_yjs_presence_dropped_total").get('reason="too_large"', 0.0)


@pytest.mark.parametrize("size", [MAX_AWARENESS_STATE_BYTES, 65_533, 64 * 1024])
def test_the_largest_states_leave_the_peers_connected(
    pair: list[Node], join: Join, size: int
) -> None:
    before = [disconnections(node) for node in pair]
    dropped_before = too_large(pair[0])
    hog, honest, far = join(pair[0]), join(pair[0]), join(pair[1])
    large, beside, other = next(_ids), next(_ids), next(_ids)
    for clock in range(1, 4):
        hog.say(ClientState(large, clock, text_of(size)), ClientState(beside, clock, b"1"))
        honest.say(ClientState(other, clock, b"%d" % clock))
        wait(lambda: far.sees(other, b"%d" % clock), "the honest one to be seen")  # noqa: B023
    is_too_large = size > MAX_AWARENESS_STATE_BYTES
    wait(lambda: far.sees(beside, b"1"), "the state beside it to be seen")
    assert far.sees(large, text_of(size)) is not is_too_large
    assert [disconnections(node) for node in pair] == before
    assert too_large(pair[0]) - dropped_before == (3 if is_too_large else 0)
