"""What broke the engine and is not given to it again, also after a restart. No I/O.

An entry is a whole document (its updates are kept and synced, its value is not read), or one change to a document
(which is refused).
"""

from __future__ import annotations

from hashlib import sha256

import msgpack

from peatnode.documents.names import names_of
from peatnode.documents.replica.keyspace import QUARANTINE
from peatnode.documents.replica.replica import Replica

DOCUMENT = b""
"""Instead of a change's digest: the document as a whole."""

_DIGEST_BYTES = 16


class Quarantine:
    """Few entries: all are held in memory."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._entries: dict[tuple[bytes, bytes], int] = {}
        for entry, data in replica.kv.scan(QUARANTINE, bytes((QUARANTINE[0] + 1,))):
            key, digest, incarnation, _ = msgpack.unpackb(data)
            assert entry == _entry(key, digest)
            self._entries[key, digest] = incarnation

    def names(self) -> tuple[str, ...]:
        """`collection/id` of each document concerned, once."""
        return tuple(sorted({"/".join(names_of(key)) for key, _ in self._entries}))

    def __len__(self) -> int:
        return len(self._entries)

    def holds(self, key: bytes, incarnation: int, change: bytes = DOCUMENT) -> bool:
        """Whether the document in that incarnation, or only that change to it, is quarantined."""
        if not self._entries:
            return False
        return self._entries.get((key, _digest(change))) == incarnation

    def add(self, key: bytes, incarnation: int, change: bytes = DOCUMENT) -> None:
        """Adds an entry to the open batch, with the change itself for an investigation."""
        digest = _digest(change)
        self._entries[key, digest] = incarnation
        kept = msgpack.packb((key, digest, incarnation, change))
        self._replica.put(_entry(key, digest), kept)

    def release(self, key: bytes, incarnation: int) -> None:
        """Removes the entries of incarnations before this one."""
        for held in [h for h, of in self._entries.items() if h[0] == key and of < incarnation]:
            del self._entries[held]
            self._replica.put(_entry(*held), None)


def _digest(change: bytes) -> bytes:
    return sha256(change).digest()[:_DIGEST_BYTES] if change else DOCUMENT


def _entry(key: bytes, digest: bytes) -> bytes:
    return QUARANTINE + key + b"\0" + digest
