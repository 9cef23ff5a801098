"""Random histories of several writers, made by a real engine (pycrdt)."""

from __future__ import annotations

import random
from typing import Any

import pycrdt

KEYS = ("/a", "/b", "/c/d", "/ż", "")
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 63, 64, -64, 2**31, 1.5, "", "short", "żółć 😀", "x" * 200, [], {},
    [1, [2, {"a": "b"}]], {"k/1": [None], "z": "é"}, b"\1\2\310",
)  # fmt: skip


def random_history(rng: random.Random, flat: bool = False) -> Writers:
    """Up to four writers and 64 steps; with `flat=True` only root maps, arrays and texts of plain values."""
    return Writers(rng, 1 + rng.randrange(4), 15 + rng.randrange(50), flat)


class Writers:
    """`deltas` are in an order in which they can be applied."""

    def __init__(self, rng: random.Random, writers: int, steps: int, flat: bool) -> None:
        self._rng = rng
        self._flat = flat
        self.deltas: list[bytes] = []
        self.docs = [self._open(1 + i + 8 * self._rng.randrange(2**29)) for i in range(writers)]
        self._seen: list[set[int]] = [set() for _ in range(writers)]
        for _ in range(steps):
            self._step(self._rng.randrange(writers))

    @staticmethod
    def _open(client: int) -> Any:
        doc: Any = pycrdt.Doc(client_id=client)
        doc["root"], doc["deep"] = pycrdt.Map(), pycrdt.Map()
        doc["list"], doc["text"], doc["xml"] = pycrdt.Array(), pycrdt.Text(), pycrdt.XmlFragment()
        return doc

    def _step(self, who: int) -> None:
        doc, seen = self.docs[who], self._seen[who]
        if self._rng.random() < 0.3:
            for number in range(self._rng.randrange(len(self.deltas) + 1)):
                if number not in seen:
                    seen.add(number)
                    doc.apply_update(self.deltas[number])
            return
        before = doc.get_state()
        with doc.transaction():
            for _ in range(self._rng.choice((1, 1, 4))):
                self._edit(doc)
        seen.add(len(self.deltas))
        self.deltas.append(doc.get_update(before))

    def _edit(self, doc: Any) -> None:
        pick, upto = self._rng.choice, lambda n: self._rng.randrange(n + 1)
        root, items, text = doc["root"], doc["list"], doc["text"]
        match upto(6 if self._flat else 9):
            case 0 | 1:
                root[pick(KEYS)] = pick(VALUES)
            case 2:
                root.pop(pick(KEYS), None)
            case 3:
                items.insert(upto(len(items)), pick(VALUES))
            case 4 if len(items):
                del items[upto(len(items) - 1)]
            case 5:
                text.insert(upto(len(text)), pick(("a", "bc", "def ghi", "\n")))
            case 6 if len(text):
                at = upto(len(text) - 1)
                del text[at : min(len(text), at + 1 + upto(2))]
            case 7 if len(text):
                text.format(0, 1 + upto(len(text) - 1), {"bold": pick((True, None))})
            case 8:
                doc["deep"][pick(KEYS)] = pick((pycrdt.Map, pycrdt.Array, pycrdt.Text))()
            case 9:
                doc["xml"].children.append(pick((pycrdt.XmlElement("p"), pycrdt.XmlText("tż"))))
            case _:
                pass

    def replay(self, *updates: bytes) -> Any:
        """A new document with these updates in it."""
        doc = self._open(7)
        for update in updates:
            doc.apply_update(update)
        return doc

    @staticmethod
    def view(doc: Any) -> tuple[Any, ...]:
        """All that a reader can see."""
        return (
            doc["root"].to_py(),
            doc["list"].to_py(),
            doc["deep"].to_py(),
            str(doc["text"]),
            str(doc["xml"]),
        )
