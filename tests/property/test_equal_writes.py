"""Random histories of two and three nodes that write alike and apart: what is written alike on an equal state is there
once, what is written apart survives, and the nodes become equal."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import orjson
import pytest

from peatnode.documents.json.diff import plan
from peatnode.documents.json.patch import merge
from peatnode.documents.json.value import flatten
from peatnode.documents.limits import MAX_CLIENTS_OF_FIELDS, MAX_DERIVED_CLIENTS
from peatnode.documents.replica.flags import DocumentFlag
from tests.support import seeds
from tests.support.small_mesh import MeshNode, Typist, carry, check_contents, meet

RUNS = int(os.environ.get("PEAT_EQUAL_WRITES_RUNS", "2500"))
PER_TEST = 250
FAR = 1e11
"""An expiry that no history reaches."""

Value = dict[str, Any]


class Change(NamedTuple):
    """One change that all nodes make."""

    act: Callable[[MeshNode], object]
    after: Value
    """The value after it."""
    is_repeatable: bool
    """Whether it changes nothing where it was already made."""
    is_equal: bool
    """Whether the states after it are equal too, before the nodes meet."""


class History:
    """`name` and the seed of the run determine all of it."""

    def __init__(self, name: str, nodes: Sequence[MeshNode]) -> None:
        self.rng = seeds.generator(name)
        self.nodes = nodes
        for node in nodes:
            node.document = name
        self._marks = 0

    def run(self) -> None:
        for _ in range(self.rng.randint(2, 5)):
            part = self.rng.choice((self.alike, self.alike, self.apart, self.typed, self.ended))
            part()
            meet(self.nodes)
            self._restart_some()

    @property
    def value(self) -> Value | None:
        value: Value | None = self.nodes[0].value
        return value

    def mark(self) -> str:
        self._marks += 1
        return f"m{self._marks}"

    def _restart_some(self) -> None:
        for node in self.nodes:
            if self.rng.random() < 0.02:
                node.restart()

    # --- written alike

    def alike(self) -> None:
        """All nodes make one change after the other, each before any makes the next."""
        for _ in range(self.rng.randint(1, 3)):
            change = self._some_change()
            is_bounded = not self._has_many_clients()
            for node in self.rng.sample(self.nodes, len(self.nodes)):
                change.act(node)
                if change.is_repeatable and self.rng.random() < 0.3:
                    carry(node, self._other_than(node))
            self._restart_some()
            if change.is_equal and is_bounded:
                assert len({node.fingerprint for node in self.nodes}) == 1
            else:
                meet(self.nodes)
            if is_bounded:
                assert [node.value for node in self.nodes] == [change.after] * len(self.nodes)

    def _has_many_clients(self) -> bool:
        record = self.nodes[0].record
        return record is not None and len(record.state_vector) >= MAX_DERIVED_CLIENTS

    def _other_than(self, node: MeshNode) -> MeshNode:
        return self.rng.choice([other for other in self.nodes if other is not node])

    def _some_change(self) -> Change:
        rng, present = self.rng, self.value
        expires = rng.choice([-1.0] * 9 + [FAR])
        if present is None or rng.random() < 0.3:
            after = self._some_target(present or {}, may_change_types=True)
            act = partial(MeshNode.put, value=after, expires_at=expires)
        elif rng.random() < 0.4:
            target = self._some_target(present, may_change_types=True)
            body: Value = {name: target.get(name) for name in {*present, *target}}
            after = merge(present, orjson.dumps(body))
            act = partial(MeshNode.merge, patch=body, expires_at=expires)
        else:
            operation, after = self._some_operation(present)
            act = partial(_patch, operation=operation, expires_at=expires)
        is_equal = expires < 0 and (present is None or self._derives(present, after))
        return Change(act, after, act.func is not _patch, is_equal)

    def _derives(self, present: Value, after: Value) -> bool:
        """Whether nodes that make this change are equal after it."""
        record, edits = self.nodes[0].record, plan(flatten(present), after)
        assert record is not None
        if edits.is_inserting or not edits.set_leaves:
            return True
        has_lists = bool(record.flags & DocumentFlag.HAS_LISTS)
        return has_lists and len(record.state_vector) < MAX_CLIENTS_OF_FIELDS

    def _some_target(self, present: Value, may_change_types: bool = False) -> Value:
        target: Value = {}
        if "text" in present:
            target["text"] = present["text"]
        for name in ("a", "b"):
            before = present.get(name)
            target[name] = self._some_array(before if isinstance(before, list) else [])
            if may_change_types and self.rng.random() < 0.1:
                target[name] = self.rng.choice((1, {"x": 1}))
        if self.rng.random() < 0.3:
            target["n"] = self.rng.randrange(3)
        return shuffled(self.rng, target)

    def _some_array(self, present: list[Any]) -> list[Any]:
        rng = self.rng
        items = [item for item in present if rng.random() < 0.8]
        for _ in range(rng.randrange(3)):
            new = rng.choice((self.mark(), 1, {"x": 1, "y": [self.mark()]}, None))
            items.insert(rng.randint(0, len(items)), new)
        if rng.random() < 0.2:
            rng.shuffle(items)
        return items

    def _some_operation(self, present: Value) -> tuple[Value, Value]:
        """An operation of a JSON Patch, and the value after it."""
        rng, name = self.rng, self.rng.choice(("a", "b"))
        items, new = present.get(name), self.mark()
        if not isinstance(items, list) or not items:
            return {"op": "add", "path": f"/{name}", "value": [new]}, {**present, name: [new]}
        items, at, to = list(items), rng.randrange(len(items)), rng.randrange(len(items))
        after, path = {**present, name: items}, f"/{name}/{at}"
        match rng.choice(("add", "append", "remove", "replace", "move")):
            case "add":
                items.insert(at, new)
                return {"op": "add", "path": path, "value": new}, after
            case "append":
                items.append(new)
                return {"op": "add", "path": f"/{name}/-", "value": new}, after
            case "remove":
                del items[at]
                return {"op": "remove", "path": path}, after
            case "replace":
                items[at] = new
                return {"op": "replace", "path": path, "value": new}, after
            case _:
                items.insert(to, items.pop(at))
                return {"op": "move", "from": path, "path": f"/{name}/{to}"}, after

    # --- written apart

    def apart(self) -> None:
        """Each node makes changes of its own; marks that it appends and does not remove are there once."""
        appended: dict[str, MeshNode] = {}
        has_carried = has_ended = False
        for _ in range(self.rng.randint(2, 5)):
            node = self.rng.choice(self.nodes)
            roll = self.rng.random()
            if roll < 0.15:
                carry(node, self._other_than(node))
                has_carried = True
            elif roll < 0.2 and node.record is not None:
                node.delete()
                has_ended = True
            elif roll < 0.6 and isinstance((node.value or {}).get("a"), list):
                mark = self.mark()
                node.patch({"op": "add", "path": "/a/-", "value": mark})
                appended[mark] = node
            else:
                node.put(self._some_target(node.value or {}))
        kept = [mark for mark, node in appended.items() if mark in marks(node.value)]
        meet(self.nodes)
        if not has_carried and not has_ended:
            found = marks(self.value)
            assert [found.count(mark) for mark in kept] == [1] * len(kept)

    def typed(self) -> None:
        """People type the same at the same time, and do not mean it once."""
        present = (self.value or {}).get("text", "")
        before = present.count("word") if isinstance(present, str) else 0
        for node in self.nodes:
            typist = Typist(node, self.rng.randrange(1, 2**32))
            typist.type("/text", 0, "word ")
        meet(self.nodes)
        assert self.value is not None
        assert self.value["text"].count("word") == before + len(self.nodes)

    def ended(self) -> None:
        """The document is deleted everywhere, or somewhere, and written again."""
        if self.value is None:
            return
        for node in self.nodes if self.rng.random() < 0.5 else self.nodes[:1]:
            node.delete()
        if self.rng.random() < 0.5:
            meet(self.nodes)
            assert self.value is None
        target = {"a": [self.mark(), self.mark()]}
        for node in self.nodes:
            if node.record is None:
                node.put(target)
        meet(self.nodes)
        assert self.value == target


def _patch(node: MeshNode, operation: Value, expires_at: float) -> object:
    return node.patch(operation, expires_at=expires_at)


def shuffled(rng: random.Random, value: Value) -> Value:
    """The same object with its members in another order."""
    return {name: value[name] for name in rng.sample(list(value), len(value))}


def marks(value: Value | None) -> list[str]:
    items = (value or {}).get("a", [])
    return [item for item in items if isinstance(item, str)] if isinstance(items, list) else []


@pytest.mark.parametrize("first", range(0, RUNS, PER_TEST))
@pytest.mark.parametrize("count", [2, 3])
def test_what_is_written_alike_is_there_once(count: int, first: int) -> None:
    nodes = [MeshNode(f"node {number}") for number in range(count)]
    for number in range(first, min(first + PER_TEST, RUNS)):
        name = f"{number} of {count}"
        try:
            History(name, nodes).run()
        except Exception as error:
            error.add_note(f"history {name}")
            raise
    check_contents(nodes)
