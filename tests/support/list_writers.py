"""Writers of one document with arrays and texts: nodes that read and change it by the codec, and y-py."""

from __future__ import annotations

import json
import random
from typing import Any

import pycrdt

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.json.value import build, dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.update import encode_update
from peatnode.ipc.messages import EngineKind
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.memory_kv import MemoryKeyValue, commit
from workers.engine.document import LiveDocument

KEY = document_key("c", "one")


class CodecWriter:
    """A replica. It fails the test when it would need the engine."""

    def __init__(self, client: int) -> None:
        self._replica = Replica(MemoryKeyValue(), client)

    def receive(self, update: bytes) -> None:
        change = DocumentUpdate("c", "one", 1, False, 0.0, update)
        assert self._replica.join(change, "p").outcome in (Outcome.APPLIED, Outcome.KNOWN)
        commit(self._replica)

    def record(self) -> Record:
        record = self._replica.live(KEY)
        assert record is not None
        return record

    def state(self) -> bytes:
        return encode_update(self._replica.merged(KEY, self.record()))

    def value(self) -> dict[str, Any]:
        record = self.record()
        assert not record.is_value_outdated
        found: dict[str, Any] = json.loads(self._replica.value(KEY, record))
        return found

    def write(self, target: dict[str, Any]) -> bytes:
        """As the store does it; the update, which is empty if nothing changes."""
        record = self.record()
        maps = self._replica.maps(KEY, record)
        assert maps is not None
        shape = maps.shape()
        assert build(shape) == self.value()
        whole = maps.shape_towards(shape, target)
        assert whole is not None
        client = self._replica.client
        clock = record.state_vector.get(client, 0)
        update = root_maps.change(maps, plan(whole, target), client, clock)
        if update.is_empty:
            return b""
        self._replica.write(KEY, update, dump(target))
        (change,) = commit(self._replica).changes
        return change.update


class EngineWriter:
    """One document in y-py."""

    def __init__(self, client: int) -> None:
        self._live = LiveDocument(client, ())

    def receive(self, update: bytes) -> None:
        self._live.apply(update)

    def value(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._live.value())
        return found

    def write(self, target: dict[str, Any]) -> bytes:
        return self._live.change(EngineKind.PUT, dump(target), ChangeLimits())[0]


def first_update() -> bytes:
    """A document with an array and a text, from a Yjs client."""
    doc: Any = pycrdt.Doc(client_id=2**31)
    root, items, text = (
        doc.get(name, type=kind)
        for name, kind in (("root", pycrdt.Map), ("/l", pycrdt.Array), ("/t", pycrdt.Text))
    )
    root["/l"], root["/t"] = {"type": "array"}, {"type": "text"}
    items.extend([1, b"\1\2", 2.0, {"a": 1.5}])
    text += "ab"
    update: bytes = doc.get_update()
    return update


def hear(
    writer: CodecWriter | EngineWriter, known: set[int], updates: list[bytes], end: int
) -> None:
    """The writer receives those of the first `end` updates that it does not know."""
    for number in range(end):
        if number not in known:
            known.add(number)
            writer.receive(updates[number])


PIECES = ("", "a", "bcd", "ż", "żółć", "x😀y", "\n")


def changed(rng: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    """The value with a few random changes to its arrays, texts and leaves."""
    target: dict[str, Any] = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(("l", "m", "t", "o", "s"))
        present = target.get(name)
        if rng.random() < 0.1:
            target.pop(name, None)
        elif name in ("l", "m"):
            target[name] = _changed_array(rng, present if isinstance(present, list) else [])
        elif name == "t":
            target[name] = _changed_text(rng, present if isinstance(present, str) else "")
        else:
            target[name] = rng.choice([1, "x", None, {}, {"l": [1, 2]}, {"l": 1}, [[]], 2.5, "żó"])
    return target


def _changed_array(rng: random.Random, items: list[Any]) -> list[Any]:
    at = rng.randrange(min(len(items), 4) + 1)
    removed = rng.choice((0, 0, 1, 2))
    added = [rng.choice((1, 2, "a", {"k": [1]}, None, True)) for _ in range(rng.randrange(3))]
    items[at : at + removed] = added
    if items and rng.random() < 0.3:
        items.append(rng.randrange(100))
    return items


def _changed_text(rng: random.Random, text: str) -> str:
    at = rng.randrange(min(len(text), 4) + 1)
    return text[:at] + rng.choice(PIECES) + text[at + rng.randrange(3) :]
