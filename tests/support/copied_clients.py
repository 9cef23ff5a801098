"""Random histories of a Yjs client that goes on in several copies, each on a node of its own, by pycrdt."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pycrdt

from peatnode.documents.content.clash import join_histories
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.json.value import ARRAY, ROOT, TEXT
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.merge import merge_updates, subtract_known
from peatnode.documents.yjs.update import Update, decode_update, encode_update

WORDS = ("a", "Bob", "Alice", "żółć", "\n")
PAIRS = ("żółć 😀", "😀😁")
"""Texts with surrogate pairs: y-py loses text that stands between the halves of one."""


STEPS = 25
"""Edits of all writers together after the client was copied."""


@dataclass
class CopiedWriter:
    """A writer on one node: the copied client, or one with an id of its own."""

    node: int
    doc: Any
    syncs: bool
    words: tuple[str, ...] = WORDS

    def edit(self, rng: random.Random, nested: bool) -> bytes:
        before = self.doc.get_state()
        with self.doc.transaction():
            for _ in range(rng.choice((1, 1, 3))):
                self._step(rng, nested)
        update: bytes = self.doc.get_update(before)
        return update

    def _step(self, rng: random.Random, nested: bool) -> None:
        root, items, text = self.doc[ROOT], self.doc["/list"], self.doc["/text"]
        upto = rng.randrange
        match upto(8 if nested else 7):
            case 0 | 1:
                root["/" + rng.choice("xyz")] = rng.choice((*self.words, 1, 2.5, None))
            case 2:
                root.pop("/" + rng.choice("xyz"), None)
            case 3 | 4:
                items.insert(upto(len(items) + 1), rng.choice((*self.words, 1)))
            case 5:
                _edit_text(text, rng, self.words)
            case 6 if len(items):
                del items[upto(len(items))]
            case 6:
                pass
            case _:
                deep = self.doc["deep"]
                name = rng.choice("xyz")
                if name in deep and isinstance(deep[name], pycrdt.Array) and upto(3):
                    deep[name].append(rng.choice(self.words))
                else:
                    deep[name] = pycrdt.Array(["first"])


def first_writer(client: int, words: tuple[str, ...] = WORDS) -> CopiedWriter:
    """A writer that has begun a document with an array and a text."""
    doc = open_doc(client, b"\0\0")
    doc[ROOT]["/list"], doc[ROOT]["/text"] = ARRAY, TEXT
    return CopiedWriter(0, doc, False, words)


def _edit_text(text: Any, rng: random.Random, words: tuple[str, ...]) -> None:
    """pycrdt counts the bytes of UTF-8."""
    present = str(text)
    start = rng.randrange(len(present) + 1)
    at = len(present[:start].encode())
    removed = present[start : start + rng.randrange(4)]
    if removed and rng.random() < 0.4:
        del text[at : at + len(removed.encode())]
    else:
        text.insert(at, rng.choice(words))


def open_doc(client: int, state: bytes) -> Any:
    doc: Any = pycrdt.Doc(client_id=client)
    doc[ROOT], doc["deep"] = pycrdt.Map(), pycrdt.Map()
    doc["/list"], doc["/text"] = pycrdt.Array(), pycrdt.Text()
    doc.apply_update(state)
    return doc


class CopiedHistory:
    """The states of some nodes, on each of which a copy of one client has written, beside honest clients."""

    def __init__(
        self,
        rng: random.Random,
        nodes: int,
        words: tuple[str, ...] = (*WORDS, *PAIRS),
        nested: bool = True,
    ) -> None:
        self._rng, self._nested = rng, nested
        self.sums = UnitSums(b"histories of copies")
        client = rng.randrange(1, 2**32)
        first = first_writer(client, words)
        for _ in range(rng.randrange(6)):
            first.edit(rng, nested)
        base = first.doc.get_update()
        self.states = [decode_update(base, STATE_LIMITS)] * nodes
        self._writers = [
            CopiedWriter(node, open_doc(client, base), False, words) for node in range(nodes)
        ]
        for node in range(nodes):
            for _ in range(rng.randrange(3)):
                doc = open_doc(rng.randrange(1, 2**32), base)
                self._writers.append(CopiedWriter(node, doc, True, words))
        for _ in range(STEPS):
            self._act()

    def _act(self) -> None:
        writer = self._rng.choice(self._writers)
        if writer.syncs and self._rng.random() < 0.4:
            writer.doc.apply_update(encode_update(self.states[writer.node]))
        self.take(writer.node, decode_update(writer.edit(self._rng, self._nested), STATE_LIMITS))

    def take(self, node: int, update: Update) -> None:
        """As a node joins an ordinary update: by clocks alone."""
        state = self.states[node]
        if missing_for(update, state.state_vector()) is None:
            new = subtract_known(update, state.state_vector(), state.delete_set)
            self.states[node] = merge_updates([state, new], STATE_LIMITS)

    def compare(self, node: int, other: Update) -> None:
        """As a node joins a whole document that it compares with its own."""
        found = join_histories(self.states[node], other, self.sums)
        if missing_for(found.joined, {}) is None:
            self.states[node] = found.joined

    def sum_of(self, node: int) -> int:
        return state_sum(self.sums, self.states[node])

    def meet(self, ordinary: float = 0.3, at_most: int = 60) -> int:
        """Nodes pull from each other in random order, until all are equal. Returns the number of pulls.

        `ordinary`: part of the pulls that do not compare.
        """
        nodes = range(len(self.states))
        for count in range(at_most):
            if len({self.sum_of(node) for node in nodes}) == 1:
                return count
            one, other = self._rng.sample(nodes, 2)
            if self._rng.random() < ordinary:
                self.take(one, self.states[other])
            elif self._rng.random() < 0.3:  # both at the same time
                before = self.states[one]
                self.compare(one, self.states[other])
                self.compare(other, before)
            else:
                self.compare(one, self.states[other])
        raise AssertionError(f"{at_most} pulls left different documents")
