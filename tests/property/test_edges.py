"""Whatever an edge of a node accepts from a client, every edge of its peers accepts from the node.

Random clients write at the limits and beyond, over HTTP, bulk requests, Yjs and awareness, to nodes in memory whose
messages travel as bytes. What is refused at the first edge is of no interest here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import orjson
import pycrdt
import pytest

from peatnode.api.bulk_lines import parse_line
from peatnode.api.failures import HttpProblem
from peatnode.api.names import check_names
from peatnode.api.writes import MAX_TTL_SECONDS, content_of, expires_at, write_message
from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import Shape
from peatnode.documents.limits import (
    MAX_COLLECTION_CHARACTERS,
    MAX_DEPTH,
    MAX_ID_BYTES,
    MAX_KEY_BYTES,
    MAX_POINTER_BYTES,
    MAX_VALUES,
)
from peatnode.documents.names import document_key
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET
from peatnode.documents.yjs.lib0 import MAX_SAFE_INTEGER
from peatnode.documents.yjs.structs import gc_struct
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.errors import MalformedUpdate
from peatnode.ipc.messages import ApplyUpdates, WriteDocument, WriteKind, WrittenReply
from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.peer_limits import (
    MAX_AWARENESS_CLOCK,
    MAX_AWARENESS_DEPTH,
    MAX_AWARENESS_STATE_BYTES,
    MAX_ROOM_PRESENCE_BYTES,
)
from peatnode.protocol.sync.events import (
    Action,
    AwarenessPublished,
    AwarenessReceived,
    ConnectionDown,
)
from peatnode.texts import MAX_NAME_BYTES, is_name
from tests.sim.documents import replica_store
from tests.sim.engine import EngineInProcess
from tests.sim.histories import settle
from tests.sim.ledger import Ledger
from tests.sim.node import Node
from tests.sim.replicas import ReplicaStore
from tests.sim.world import Weather, World
from tests.support.json_texts import JsonTexts
from tests.support.yjs_histories import random_history
from workers.broker.http.limits import DEFAULT_LIMITS
from workers.broker.yjs import wire as yjs_wire
from workers.broker.yjs.awareness import (
    LEFT,
    ClientState,
    decode_states,
    encode_parts,
    encode_states,
)
from workers.broker.yjs.presence import Name, Presence
from workers.broker.yjs.states import Speaker
from workers.store.engine.question import EngineQuestion
from workers.store.write.batch import BuiltBatch

MEBIBYTE = 1024 * 1024

KINDS = ("put", "patch", "bulk", "delete", "yjs", "show")
"""Methods of `Clients`."""


def node_name(rng: random.Random, index: int) -> str:
    """A name that the configuration accepts, often at its limits."""
    while True:
        letter = rng.choice(("a", "A", "-", "ż", "🙂", "名", "\\", "'", "<"))
        name = f"{index}" + letter * rng.choice((1, 10, MAX_NAME_BYTES // len(letter.encode()) - 1))
        if is_name(name):
            return name


class InThisThread(ThreadPoolExecutor):
    """Objects of the engine, which is in this process, may not be freed by another thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class PatientEngine(EngineInProcess):
    """Nobody here would finish what runs alone, and its document would wait for ever."""

    def runs_alone(self, question: EngineQuestion) -> bool:
        return False


class EdgeStore(ReplicaStore):
    """Its batches may have large updates, which the store decodes in threads."""

    engine_type = PatientEngine
    may_refuse = True
    """Changes of clients. Those of peers are counted by the machine."""

    @staticmethod
    def finish(build: Any) -> BuiltBatch:
        loop = asyncio.new_event_loop()
        loop.set_default_executor(InThisThread())
        try:
            return loop.run_until_complete(build)
        finally:
            loop.close()


class Edge(Node):
    """A node with the presence of its broker."""

    def __init__(self, world: World, index: int) -> None:
        super().__init__(world, index)
        self.name = node_name(world.random, index)
        self.at_edge: Counter[str] = Counter()
        """What it refused its own clients."""
        self.from_peers: Counter[str] = Counter()
        """What it dropped of its peers."""
        self._counts = self.at_edge
        self.presence = Presence(lambda reason: self._counts.update([reason]))

    def _do(self, action: Action) -> None:
        if isinstance(action, AwarenessReceived):
            self._counts = self.from_peers
            name, peer = (action.collection, action.id), self.presence.peer(action.sender)
            self.presence.apply(name, decode_states(action.payload), peer, self.now())
            self._counts = self.at_edge
        super()._do(action)

    def take_awareness(self, name: Name, speaker: Speaker, payload: bytes) -> bool:
        """As `AwarenessExchange` does."""
        message = yjs_wire.decode(yjs_wire.encode_awareness(payload))
        assert isinstance(message, yjs_wire.AwarenessMessage)
        states = decode_states(message.payload)
        try:
            changed = self.presence.apply(name, states, speaker, self.now())
        except MalformedUpdate:  # it ends the connection
            changed = self.presence.remove(name, speaker, self.now())
        for part in encode_parts(changed):
            self.handle(AwarenessPublished(*name, part))
        return bool(changed)


class EdgeWorld(World):
    node_type = Edge


class Clients:
    """Clients of one node, and how much of what they say is accepted."""

    def __init__(self, node: Edge, rng: random.Random) -> None:
        self._node = node
        self._rng = rng
        self._texts = JsonTexts(rng, MAX_DEPTH, MAX_KEY_BYTES)
        self._speakers = [Speaker(is_local=True) for _ in range(4)]
        self._rooms = [("c", "room"), self._names()]
        self._written: list[Name] = [("c", "d")]
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def act(self, kind: str = "") -> None:
        kind = kind or self._rng.choice(KINDS)
        try:
            is_accepted = getattr(self, kind)()
        except (HttpProblem, MalformedUpdate):
            is_accepted = False
        (self.accepted if is_accepted else self.refused)[kind] += 1

    # --- names and values

    def _names(self) -> Name:
        pick = self._rng.choice
        size = pick((0, MAX_COLLECTION_CHARACTERS - 1, MAX_COLLECTION_CHARACTERS))
        collection = pick(("c", "_", "A.-b", "", "-c")) + "x" * size
        letter = pick(("i", "ż", "🙂", "\\", "'", "\x7f", "\ud800", " "))
        size = pick((1, MAX_ID_BYTES // len(letter.encode("utf-8", "surrogatepass"))))
        return pick(
            (("c", "d"), *[("c", f"d{self._rng.randrange(30)}")] * 3, (collection, letter * size))
        )

    def _known(self) -> Name:
        """Mostly the name of a document that is there."""
        return self._rng.choice(self._written) if self._rng.random() < 0.8 else self._names()

    def _value(self) -> bytes:
        """Of a document, at one of the limits."""
        rng = self._rng
        match rng.randrange(8):
            case 0:
                room = DEFAULT_LIMITS.body_bytes - len('{"large":""}')
                return b'{"large":"%s"}' % (b"x" * (room - rng.choice((0, 1, 1000))))
            case 1:
                count = MAX_VALUES - rng.choice((0, 1, 2))
                return orjson.dumps({"many": [1] * count})
            case 2:
                keys = itertools.count()
                left, value = MAX_POINTER_BYTES + rng.choice((-8, -4, -1, 0, 8)), {}
                inner: dict[str, Any] = value
                while left > 4:
                    size = min(left - 1, MAX_KEY_BYTES)
                    key = f"{next(keys)}" + "k" * (size - 1)
                    inner[key] = {}
                    inner, left = inner[key], left - size - 1
                return orjson.dumps(value)
            case _:
                return self._texts.document()

    def _expiry(self) -> float:
        ttl = self._rng.choice((None, None, 0.0, 3600.0, MAX_TTL_SECONDS, MAX_TTL_SECONDS + 1))
        return expires_at(ttl, self._node.read_clock().unix)

    # --- HTTP

    def _write(self, message: WriteDocument) -> bool:
        replies: list[Any] = []
        self._node.store.add(message, replies.append)
        reply = self._wait(replies)
        return isinstance(reply, WrittenReply)

    def _wait(self, replies: list[Any]) -> Any:
        """The reply; None: the change is so costly that it needs an engine of its own, which is not here."""
        for _ in range(10):
            self._node.world.run(0.1)
            if replies:
                return replies[0]
        return None

    def _request(self, kind: WriteKind, name: Name, body: bytes) -> bool:
        check_names(*name)
        if len(body) > DEFAULT_LIMITS.body_bytes:
            return False
        content = b"" if kind is WriteKind.DELETE else content_of(kind, body, name[1])
        return self._write(write_message(*name, kind, content, None, None, self._expiry()))

    def put(self) -> bool:
        name = self._names()
        is_written = self._request(WriteKind.PUT, name, self._value())
        self._written += [name] * is_written
        return is_written

    def patch(self) -> bool:
        if self._rng.random() < 0.7:
            return self._request(WriteKind.PATCH, self._known(), self._value())
        pointer = "/" + "/".join("p" * self._rng.choice((0, 5)) for _ in range(1))
        patch = [{"op": "add", "path": pointer, "value": self._rng.choice(([], {}, [[1]], "x"))}]
        return self._request(WriteKind.JSON_PATCH, self._known(), json.dumps(patch).encode())

    def delete(self) -> bool:
        return self._request(WriteKind.DELETE, self._known(), b"")

    def bulk(self) -> bool:
        collection, doc_id = self._names()
        lines = [self._value(), orjson.dumps({"_id": "d", "_deleted": True}), b'{"_id":"d","a":1}']
        try:
            lines.append(orjson.dumps({"_id": doc_id, "b": [{}]}))
        except TypeError:  # a lone surrogate
            return False
        accepted = False
        for line in lines:
            try:
                message = parse_line(collection, line, self._expiry(), lambda: "new")
            except HttpProblem:
                continue
            accepted |= self._write(message)
        return accepted

    # --- Yjs

    def yjs(self) -> bool:
        name = self._names()
        check_names(*name)
        outcomes = [self._change(name, update) for update in self._updates()]
        return Outcome.APPLIED in outcomes

    def _updates(self) -> list[bytes]:
        rng = self._rng
        first = rng.randrange(2**32)
        match rng.randrange(6):
            case 0:
                count = rng.choice((10, 9_999, 10_000, 10_001))
                structs = {first + client: (gc_struct(0, 1),) for client in range(count)}
                return [encode_update(Update(structs, EMPTY_DELETE_SET))]
            case 1:
                levels = MAX_DEPTH + rng.choice((-1, 0, 1))
                change = root_maps.change(root_maps.NO_ROOT_MAPS, plan(Shape(), {"k": 1}), first, 0)
                deep = encode_update(change).replace(
                    b"\x02/k", bytes((2 * levels,)) + b"/k" * levels
                )
                return [deep]
            case 2:
                doc: Any = pycrdt.Doc(client_id=1 + first)
                text = doc.get("text", type=pycrdt.Text)
                text += "x" * rng.choice((MEBIBYTE, 8 * MEBIBYTE - 100, 8 * MEBIBYTE))
                return [doc.get_update()]
            case _:
                return random_history(rng).deltas[:10]

    def _change(self, name: Name, update: bytes) -> Outcome:
        message = yjs_wire.decode(yjs_wire.encode_update(update))
        assert isinstance(message, yjs_wire.SyncUpdate)
        record = self._node.store.replica.record_on_disk(document_key(*name))
        incarnation = 1 if record is None else record.incarnation + record.is_deleted
        change = DocumentUpdate(*name, incarnation, False, 0.0, message.update)
        replies: list[Any] = []
        self._node.store.add(ApplyUpdates((change,), "client:1"), replies.append)
        reply = self._wait(replies)
        return Outcome.REFUSED if reply is None else reply.outcomes[0]

    # --- awareness

    def show(self) -> bool:
        """A few clients show themselves, in rooms that have room."""
        rng = self._rng
        name = rng.choice(self._rooms)
        check_names(*name)
        number = rng.randrange(len(self._speakers))
        first = 1000 * self._node.index + 100 * number
        states = [
            ClientState(rng.choice((first + n, MAX_SAFE_INTEGER - first - n)), *self._state())
            for n in range(rng.randrange(1, 6))
        ]
        used = sum(len(s.state) + 256 for s in (*self._node.presence.present(name), *states))
        if used > MAX_ROOM_PRESENCE_BYTES // 2:
            states = [ClientState(s.client, s.clock, b"1") for s in states]
        is_news = self._node.take_awareness(name, self._speakers[number], encode_states(states))
        self._node.world.run(0.2)
        return is_news

    def _state(self) -> tuple[int, bytes]:
        rng = self._rng
        size = MAX_AWARENESS_STATE_BYTES + rng.choice((-1, 0, 1, 29, 32, 1000))
        depth = MAX_AWARENESS_DEPTH + rng.choice((-1, 0, 1))
        state = rng.choice(
            (
                *(
                    LEFT,
                    b'{"user":"Anna"}',
                    '"ż🙂"'.encode(),
                    b'"\\ud800"',
                    b"[" * depth + b"]" * depth,
                ),
                b'"' + b"x" * (size - 2) + b'"',
                b'{"a":[' + b"1," * ((size - 8) // 2) + b"1]}",
                *((b"{", b"NaN", b"\xff") if rng.random() < 0.02 else ()),
            )
        )
        return rng.choice((*range(1, 30), MAX_AWARENESS_CLOCK - 1, MAX_AWARENESS_CLOCK)), state


RUNS, STEPS = 4, 25


@pytest.mark.parametrize("run", range(RUNS))
def test_what_an_edge_accepts_all_edges_of_peers_accept(run: int, rng: random.Random) -> None:
    weather = Weather(decodes=1.0)
    world = EdgeWorld(rng, 3, weather, {(0, 1)}, replica_store(EdgeStore), Ledger())
    first, second, late = world.nodes
    world.run(3.0)
    clients = [Clients(node, rng) for node in (first, second)]
    for _ in range(STEPS):
        rng.choice(clients).act()
    assert sum(c.accepted.total() for c in clients)
    _check_presence(first, second)
    world.links.add((1, 2))
    world._keep_linked((1, 2))
    settle(world)
    world.links.discard((1, 2))
    for peer, wire in list(second.wires.items()):
        if wire.other(second)[0] is late:
            second.handle(ConnectionDown(peer, "it leaves", True))
            world.break_wire(wire)
    world.run(1.0)
    for node in world.nodes:
        assert node.machine.faults == {}
        assert len(node.machine.refusals) == 0
        assert node.from_peers == {}
    assert first.machine.members.book.departures.get(late.name) is not None


def _check_presence(first: Edge, second: Edge) -> None:
    """Both show the same clients."""
    first.world.run(1.0)
    names = {*first.presence._documents, *second.presence._documents}
    for name in names:
        shown = [sorted(node.presence.present(name), key=_client) for node in (first, second)]
        assert shown[0] == shown[1], name


def _client(state: ClientState) -> int:
    return state.client


def test_the_clients_reach_every_edge(rng: random.Random) -> None:
    """Otherwise the test above says nothing."""
    accepted, refused = Counter[str](), Counter[str]()
    for _ in range(20):
        world = EdgeWorld(rng, 1, Weather(), set(), replica_store(EdgeStore), Ledger())
        clients = Clients(world.nodes[0], rng)
        for _ in range(30):
            clients.act()
        accepted += clients.accepted
        refused += clients.refused
        if accepted.keys() == refused.keys() == set(KINDS):
            return
    raise AssertionError(f"accepted: {accepted}, refused: {refused}")
