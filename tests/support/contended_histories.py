"""Random histories of writers who insert and delete at the same few places of one array and one text, by pycrdt."""

from __future__ import annotations

import random
from typing import Any

import pycrdt

from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.sequences.item_lists import ItemLists
from peatnode.documents.yjs.sequences.visible import VisibleList
from peatnode.documents.yjs.update import Update

PIECES = ("a", "bcd", "ż", "żółć", "x😀y", "\n")


class ContendedHistory:
    """`deltas` are in an order in which they can be applied; `array` and `text` are what all of them lead to."""

    def __init__(self, rng: random.Random, writers: int = 3, steps: int = 40) -> None:
        self._rng = rng
        self.deltas: list[bytes] = []
        self._docs = [_open(client) for client in rng.sample(range(1, 2**32), writers)]
        self._seen: list[set[int]] = [set() for _ in self._docs]
        for step in range(steps):
            self._step(rng.randrange(writers), step)
        last = _open(1)
        for delta in self.deltas:
            last.apply_update(delta)
        self.array: list[Any] = last["/list"].to_py()
        self.text = str(last["/text"])

    def _step(self, who: int, step: int) -> None:
        doc, seen = self._docs[who], self._seen[who]
        if self._rng.random() < 0.15:
            for number in range(self._rng.randrange(len(self.deltas) + 1)):
                if number not in seen:
                    seen.add(number)
                    doc.apply_update(self.deltas[number])
            return
        before = doc.get_state()
        with doc.transaction():
            if self._rng.random() < 0.6:
                self._edit_array(doc["/list"], f"{who}.{step}")
            else:
                self._edit_text(doc["/text"])
        seen.add(len(self.deltas))
        self.deltas.append(doc.get_update(before))

    def _edit_array(self, items: Any, name: str) -> None:
        if len(items) and self._rng.random() < 0.4:
            at = self._rng.randrange(len(items))
            del items[at : min(len(items), at + self._rng.choice((1, 2, 5)))]
            return
        at = min(self._rng.randrange(4), len(items))
        for number in range(self._rng.choice((1, 1, 3))):
            items.insert(at + number, f"{name}.{number}")

    def _edit_text(self, text: Any) -> None:
        """pycrdt counts the bytes of UTF-8."""
        present = str(text)
        start = self._rng.randrange(min(4, len(present)) + 1)
        at = len(present[:start].encode())
        removed = present[start : start + self._rng.randrange(4)]
        if removed and self._rng.random() < 0.4:
            del text[at : at + len(removed.encode())]
        else:
            text.insert(at, self._rng.choice(PIECES))


def _open(client: int) -> Any:
    doc: Any = pycrdt.Doc(client_id=client)
    doc["/list"], doc["/text"] = pycrdt.Array(), pycrdt.Text()
    return doc


def read_lists(*updates: Update) -> tuple[list[Any], str]:
    """Array and text after these updates, as the codec reads them."""
    lists = ItemLists()
    for update in updates:
        lists.apply(update)
    array, text = lists.find(("/list", None)), lists.find(("/text", None))
    return VisibleList.of(array or ()).values(), VisibleList.of(text or ()).text()


def in_some_causal_order(rng: random.Random, updates: list[Update]) -> list[Update]:
    """The updates in a random order in which each can be applied."""
    waiting, ordered = rng.sample(updates, len(updates)), []
    vector: dict[int, int] = {}
    while waiting:
        ready = next(update for update in waiting if missing_for(update, vector) is None)
        waiting.remove(ready)
        ordered.append(ready)
        vector |= {client: structs[-1].end for client, structs in ready.structs.items()}
    return ordered
