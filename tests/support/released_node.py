"""A node of a released version, as data: it answers from what it was recorded with, by the rules of its release.

Nothing here uses the codec of this version: a message is a msgpack array, as docs/protocol.md says.
"""

from __future__ import annotations

from typing import Any

import msgpack
import zstandard

from tests.support.releases import session_of

ROOT, PUSH, ACK, ASK_TREE, TREE, ASK_BUCKETS, BUCKETS = 2, 3, 4, 5, 6, 7, 8
ASK_UPDATES, ASK_RANGE, UPDATES = 9, 10, 11
FAN_OUT, LAST_LEVEL = 16, 4


class ReleasedNode:
    """One side of a recorded session, with what it had before the session began."""

    def __init__(self, release: str, name: str) -> None:
        session = session_of(release)
        self.name = name
        self.root = bytes.fromhex(session["before"][name]["tree"]["0/0"])
        self.said = [
            bytes.fromhex(content)
            for who, content in (line.split() for line in session["messages"])
            if who == name
        ]
        """Every message that it sent in the recorded session."""
        self._reads = session["reads"]
        self._document = session["document"]
        self._tree: dict[str, str] = session["before"][name]["tree"]
        self._entries: list[list[Any]] = session["before"][name]["entries"]
        self.documents = unpack_batch(bytes.fromhex(session["before"][name]["documents"]))

    # --- what it reads

    def read(self, content: bytes) -> list[Any]:
        """The message as this release reads it. Fails if the release would end the connection."""
        kind, *fields = msgpack.unpackb(content)
        assert str(kind) in self._reads, "an unknown type is ignored, so the message is lost"
        name, required, shapes = self._reads[str(kind)]
        assert len(fields) >= required, f"{name} lacks fields"
        for value, shape in zip(fields, shapes, strict=False):
            check_shape(name, value, shape)
        if kind in (PUSH, UPDATES):
            for document in unpack_batch(fields[-1]):
                check_shape("batch", document, self._document)
        return [kind, *fields]

    # --- what it answers

    def answer(self, question: list[Any]) -> bytes | None:
        """Its answer to a root or a question; None: it does not answer."""
        match question:
            case [2, _, False, *_]:
                return packed(ROOT, self.root, True)
            case [3, number, *_]:
                return packed(ACK, number, True)
            case [5, number, level, indexes, *_]:
                children = [
                    f"{level + 1}/{p * FAN_OUT + n}" for p in indexes for n in range(FAN_OUT)
                ]
                hashes = [bytes.fromhex(self._tree.get(child, "00" * 16)) for child in children]
                return packed(TREE, number, b"".join(hashes))
            case [7, number, indexes, *_]:
                entries = [self._entry(e) for e in self._entries if e[0] in indexes]
                return packed(BUCKETS, number, entries, b"")
            case [9, number, wanted, *_]:
                names = [one[:2] for one in wanted]
                found = [one for one in self.documents if one[:2] in names]
                return packed(UPDATES, number, len(wanted), b"", b"\0" + msgpack.packb(found))
            case [10, number, first, last, _, *_]:
                found = [
                    document
                    for entry, document in zip(self._entries, self.documents, strict=True)
                    if first <= entry[0] <= last
                ]
                return packed(UPDATES, number, len(found), b"", b"\0" + msgpack.packb(found))
        return None

    @staticmethod
    def _entry(entry: list[Any]) -> list[Any]:
        return [*entry[1:5], bytes.fromhex(entry[5])]


def packed(*message: Any) -> bytes:
    content: bytes = msgpack.packb(message)
    return content


def unpack_batch(batch: bytes) -> list[Any]:
    plain = zstandard.ZstdDecompressor().decompress(batch[1:]) if batch[0] else batch[1:]
    documents: list[Any] = msgpack.unpackb(plain)
    return documents


def check_shape(name: str, value: Any, shape: Any) -> None:
    match shape:
        case {"each": inner}:
            assert isinstance(value, list), name
            for one in value:
                check_shape(name, one, inner)
        case list():
            assert isinstance(value, list), name
            assert len(value) >= len(shape), f"{name} has a shorter record"
            for one, inner in zip(value, shape, strict=False):
                check_shape(name, one, inner)
        case _:
            assert type(value).__name__ == shape, f"{name}: {value!r} instead of {shape}"
