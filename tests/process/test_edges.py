"""Two real nodes: what one takes from its clients at the limits, the other one takes from it."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pycrdt
from websockets.sync.client import connect

from peatnode.documents.limits import (
    CLIENT_LIMITS,
    MAX_COLLECTION_CHARACTERS,
    MAX_DEPTH,
    MAX_ID_BYTES,
    MAX_KEY_BYTES,
    MAX_VALUES,
)
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.structs import gc_struct
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.model.peer_limits import MAX_AWARENESS_DEPTH, MAX_AWARENESS_STATE_BYTES
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait
from workers.broker.http.limits import DEFAULT_LIMITS
from workers.broker.yjs.awareness import ClientState, encode_states
from workers.broker.yjs.wire import encode_awareness
from workers.broker.yjs.wire import encode_update as update_message

LONGEST = "n" * MAX_COLLECTION_CHARACTERS + "/" + "🙂" * (MAX_ID_BYTES // 4)


def put(node: Node, name: str, value: Any, query: str = "") -> None:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    path = f"{node.url}/documents/{urllib.parse.quote(name)}{query}"
    asked = urllib.request.Request(path, body, {"content-type": "application/json"}, method="PUT")
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert answer.status == 201, name


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def rejected(node: Node) -> dict[str, float]:
    """What sync and the store refused, and what presence dropped."""
    names = ("peatnode_rejected_input_total", "peatnode_yjs_presence_dropped_total")
    return {f"{name} {labels}": n for name in names for labels, n in node.metrics(name).items()}


def test_the_largest_of_everything_reaches_the_other_node_and_the_peers_stay() -> None:
    with nodes(2) as pair, ExitStack() as stack:
        first = pair[0]

        def open_session(name: str) -> Callable[[bytes], None]:
            url = f"{first.url.replace('http', 'ws')}/yjs/{urllib.parse.quote(name)}"
            return stack.enter_context(connect(url, compression=None, max_size=None)).send

        put(first, LONGEST, {"k" * MAX_KEY_BYTES: 1}, "?ttl=3162240000")
        put(first, "c/deep", nested(MAX_DEPTH))
        put(first, "c/many", {"many": [1] * (MAX_VALUES - 2)})
        put(first, "c/large", {"large": "x" * (DEFAULT_LIMITS.body_bytes - len('{"large":""}'))})
        text: Any = pycrdt.Doc(client_id=5)
        shared = text.get("text", type=pycrdt.Text)
        shared += "x" * (CLIENT_LIMITS.max_bytes - 100)
        structs = {2**50 + n: (gc_struct(0, 1),) for n in range(CLIENT_LIMITS.max_clients)}
        clients = encode_update(Update(structs, EMPTY_DELETE_SET))
        open_session("c/text")(update_message(text.get_update()))
        open_session("c/clients")(update_message(clients))
        states = [
            b'"' + b"x" * (MAX_AWARENESS_STATE_BYTES - 2) + b'"',
            b"[" * MAX_AWARENESS_DEPTH + b"]" * MAX_AWARENESS_DEPTH,
            b'"\\ud800"',
        ]
        for number in range(5):
            session = open_session(LONGEST)
            shown = [ClientState(10 * number + n, 1, state) for n, state in enumerate(states)]
            session(encode_awareness(encode_states(shown)))
        wait(lambda: first.get("/documents/c")["count"] == 5, "all to be written")
        wait(lambda: pair[0].root() == pair[1].root(), "the nodes to be equal")
        for node in pair:
            kinds = [event["kind"] for event in node.get("/peer-log")["events"]]
            assert "disconnected" not in kinds
            assert rejected(node) == {}
            assert node.is_connected(1)
