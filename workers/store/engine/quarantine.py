"""The quarantine of documents and changes that broke the engine, and are not sent to it again. No I/O.

An entry is a whole document, whose updates are kept and synced and whose value is not read, or one change to a
document, which is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

import msgpack

from peatnode.codec.records import STORED, record_reader, unpack
from peatnode.documents.names import display_name, is_document_key
from peatnode.documents.replica.keyspace import QUARANTINE, after
from peatnode.documents.replica.replica import Replica
from peatnode.errors import MalformedFrame
from workers.store.engine.question import EngineQuestion

DOCUMENT = b""
"""Stands for the whole document, in the place of a change or its digest."""

MAX_COSTLY = 1024

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class _BrokenKept:
    """An entry as it is on disk."""

    key: bytes
    digest: bytes
    incarnation: int
    change: bytes


_read = record_reader(_BrokenKept, STORED)


def _decode(data: bytes) -> _BrokenKept | None:
    """None for a damaged entry. The engine tries what it was about again, and sets it aside again."""
    try:
        found: _BrokenKept = _read(unpack(data, STORED))
    except MalformedFrame:
        return None
    return found if is_document_key(found.key) else None


class Quarantine:
    """The entries of the quarantine. There are few, so all of them are in memory, and on disk for the next start."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._entries: dict[tuple[bytes, bytes], int] = {}
        for entry, data in replica.kv.scan(QUARANTINE, after(QUARANTINE)):
            found = _decode(data)
            if found is not None and entry == _entry(found.key, found.digest):
                self._entries[found.key, found.digest] = found.incarnation

    def names(self) -> tuple[str, ...]:
        """`collection/id` of each document that has an entry, sorted."""
        return tuple(sorted({display_name(key) for key, _ in self._entries}))

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> list[tuple[bytes, bytes, int]]:
        """Document key, digest of the change (DOCUMENT: the whole document) and incarnation of each entry, sorted."""
        return sorted((key, digest, number) for (key, digest), number in self._entries.items())

    def remove(self, key: bytes, digest: bytes) -> None:
        """Removes an entry in the open batch, so that the engine tries again."""
        del self._entries[key, digest]
        self._replica.put(_entry(key, digest), None)

    def holds(self, key: bytes, incarnation: int, change: bytes = DOCUMENT) -> bool:
        """Whether a document in this incarnation, or only a change to it, is quarantined."""
        if not self._entries:
            return False
        return self._entries.get((key, _digest(change))) == incarnation

    def add(self, key: bytes, incarnation: int, change: bytes = DOCUMENT) -> None:
        """Adds an entry to the open batch. It contains the change itself, for an investigation."""
        digest = _digest(change)
        self._entries[key, digest] = incarnation
        kept = msgpack.packb((key, digest, incarnation, change))
        self._replica.put(_entry(key, digest), kept)

    def release(self, key: bytes, incarnation: int) -> None:
        """Removes a document's entries of incarnations below `incarnation`."""
        ended = [
            entry
            for entry, quarantined in self._entries.items()
            if entry[0] == key and quarantined < incarnation
        ]
        for entry in ended:
            del self._entries[entry]
            self._replica.put(_entry(*entry), None)


class CostlyChanges:
    """Changes that took more CPU time or memory than a change may, so that they are not tried again. No I/O.

    The same change to the same content is refused at once, until MAX_COSTLY others were too costly, or the store ends.
    """

    def __init__(self) -> None:
        self._reasons: OrderedDict[tuple[bytes, bytes, bytes], str] = OrderedDict()

    def add(self, question: EngineQuestion, reason: str) -> None:
        self._reasons[_change_key(question)] = reason
        if len(self._reasons) > MAX_COSTLY:
            self._reasons.popitem(last=False)

    def find(self, question: EngineQuestion) -> str | None:
        """Why the change is refused; None if it may be tried."""
        return self._reasons.get(_change_key(question)) if self._reasons else None


def _change_key(question: EngineQuestion) -> tuple[bytes, bytes, bytes]:
    change = question.kind.encode() + b"\0" + question.payload
    return question.key, question.record.fingerprint, sha256(change).digest()


def _digest(change: bytes) -> bytes:
    return sha256(change).digest()[:_DIGEST_BYTES] if change else DOCUMENT


def _entry(key: bytes, digest: bytes) -> bytes:
    return QUARANTINE + key + b"\0" + digest
