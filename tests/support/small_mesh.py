"""Stores in one process that write apart, and meet when a test says so.

The parts are those of the store worker (`tests/sim/replicas.py`), and updates are carried as sync carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pycrdt

from peatnode.documents.names import document_key
from peatnode.documents.replica.reads import missing_update, wanted_of
from peatnode.documents.replica.record import Record
from peatnode.documents.yjs.any_value import Json
from peatnode.ipc.messages import Failed, WriteDocument, WriteKind, WrittenReply
from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.sync import AppliedReply, ApplyUpdates
from tests.sim.contents import check_equal
from tests.sim.replicas import ReplicaStore
from workers.store.maintenance import due_expiries

COLLECTION = "c"


class MeshNode:
    """One node of the mesh. It reads and writes one document at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.store = ReplicaStore(name)
        self.document = "d"

    @property
    def key(self) -> bytes:
        return document_key(COLLECTION, self.document)

    @property
    def record(self) -> Record | None:
        """The record of the living document."""
        return self.store.replica.live(self.key)

    @property
    def value(self) -> Any:
        """The document's value; None if there is no document."""
        record = self.record
        return None if record is None else orjson.loads(self.store.replica.value(self.key, record))

    @property
    def fingerprint(self) -> bytes:
        record = self.record
        assert record is not None
        return record.fingerprint

    def put(self, value: Json, **options: Any) -> WrittenReply | Failed:
        return self._write(WriteKind.PUT, value, **options)

    def merge(self, patch: Json, **options: Any) -> WrittenReply | Failed:
        return self._write(WriteKind.PATCH, patch, **options)

    def patch(self, *operations: Json, **options: Any) -> WrittenReply | Failed:
        return self._write(WriteKind.JSON_PATCH, list(operations), **options)

    def delete(self, **options: Any) -> WrittenReply | Failed:
        return self._write(WriteKind.DELETE, None, **options)

    def _write(self, kind: WriteKind, body: Json, **options: Any) -> WrittenReply | Failed:
        data = b"" if kind is WriteKind.DELETE else orjson.dumps(body)
        replies: list[WrittenReply | Failed] = []
        self.store.add(
            WriteDocument(COLLECTION, self.document, kind, data, **options), replies.append
        )
        (reply,) = replies
        return reply

    def expire(self, now: float) -> None:
        """The node's wall clock has come to `now`."""
        for work in due_expiries(self.store.replica, now):
            self.store.add(work)

    def restart(self) -> None:
        self.store.crash(0)
        self.store.open()

    def receive(self, update: DocumentUpdate, origin: str) -> Outcome:
        replies: list[AppliedReply] = []
        self.store.add(ApplyUpdates((update,), origin), replies.append)
        (outcome,) = replies[0].outcomes
        return outcome


class Typist:
    """A Yjs client that has the document of a node open."""

    def __init__(self, node: MeshNode, client: int) -> None:
        self._node = node
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
        self.load()

    def load(self) -> None:
        """Takes what the node has."""
        record = self._node.record
        if record is not None:
            for update in self._node.store.replica.state(self._node.key, record):
                self.doc.apply_update(update)

    def type(self, name: str, at: int, text: str) -> None:
        """Types into the text of a pointer, which is made a text if it is none."""
        before, root = self.doc.get_state(), self.doc.get("root", type=pycrdt.Map)
        if root.get(name) != {"type": "text"}:
            root[name] = {"type": "text"}
        self.doc.get(name, type=pycrdt.Text).insert(at, text)
        self._send(before)

    def _send(self, before: bytes) -> None:
        incarnation = self._node.store.replica.next_incarnation(self._node.key)
        update = self.doc.get_update(before)
        sent = DocumentUpdate(COLLECTION, self._node.document, incarnation, False, 0.0, update)
        assert self._node.receive(sent, "client 1") is Outcome.APPLIED


def carry(source: MeshNode, to: MeshNode) -> None:
    """What a pull of `to` brings of the document."""
    if source.store.root == to.store.root:
        return
    wanted = wanted_of(to.store.replica, to.key)
    update = missing_update(source.store.replica, to.key, *wanted)
    if update is not None:
        assert to.receive(update, f"peer {source.name}") is not Outcome.REFUSED


def meet(nodes: Sequence[MeshNode]) -> None:
    """All nodes tell each other all, and hold the same then."""
    for _ in range(2):
        for node in nodes:
            for other in nodes:
                carry(node, other)
    first = nodes[0]
    for node in nodes[1:]:
        assert (node.store.root, node.value) == (first.store.root, first.value)


def check_contents(nodes: Sequence[MeshNode]) -> None:
    """All nodes hold the same items with the same content."""
    check_equal({node.name: node.store.disk for node in nodes})
