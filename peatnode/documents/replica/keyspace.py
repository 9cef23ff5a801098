"""The key space of the store: one prefix byte for each kind of entry."""

from collections.abc import Iterator
from typing import Protocol

RECORD = b"d"
"""document key → record"""
TOMBSTONE = b"t"
"""document key → record of a deleted document"""
SNAPSHOT = b"s"
"""document key → its snapshot, if that is too large for the record"""
VALUE = b"v"
"""document key → its JSON value, if that is too large for the record"""
CLOCKS = b"c"
"""document key → the state vector, the delete set and the ended vector on which a record with many of them builds"""
TREE = b"i"
"""tree key, document key → incarnation, deleted or not, fingerprint"""
FEED = b"f"
"""sequence (8 bytes) → change"""
EXPIRY = b"x"
"""Unix milliseconds (8 bytes), document key → nothing"""
QUARANTINE = b"q"
"""document key, zero byte, digest → the quarantined document or change"""
LEAP = b"l"
"""document key → what is known of a change whose incarnation leaps"""
LEAP_UPDATE = b"u"
"""document key → that change"""
PEER = b"p"
"""node id → what is remembered of a peer"""
ENDED = b"e"
"""document key, zero byte, sequence (8 bytes) → what is known of the content that a deletion has ended"""
ENDED_STATE = b"w"
"""sequence (8 bytes), document key → that content"""
META = b"m"
"""name → a value of the store itself: format, generation, sequence"""

SEQUENCE = META + b"sequence"
"""The key of the sequence of the newest change (8 bytes)."""
CHECKPOINT = META + b"checkpoint"
"""The key of the checkpoint of the index. Whoever rewrites the index or the feed deletes it."""
FLUSHED = META + b"flushed"
"""The key of the sequence (8 bytes) up to which sorted files hold all changes, so that no log has to be complete."""

SUMMED = META + b"summed"
"""The key of the definition and the key check of all content sums, and of how far they are computed."""

DEPARTURES = META + b"departures"
"""The key of the list of peers that have left for good."""
BLOCKED = META + b"blocked"
"""The key of the list of nodes that an operator has blocked."""
PAUSED = META + b"paused"
"""The key of the list of peers whose deletions are paused."""
PEER_LOG = META + b"peer_log"
"""The key of the last events of peers."""

ENDED_TOTALS = META + b"ended"
"""The key of the number and the bytes of what deletions have ended, and of the time for which the store has run."""


class KeyValue(Protocol):
    """The storage of a replica: an ordered map of bytes."""

    def get(self, key: bytes) -> bytes | None: ...

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries with start <= key < end, in order. An error is raised, and never ends the scan silently."""
        ...


def number(value: int) -> bytes:
    """8 bytes that sort as the numbers do."""
    return value.to_bytes(8, "big")


def stored_number(kv: KeyValue, key: bytes) -> int:
    """The number that an entry holds; 0 if there is no such entry."""
    stored = kv.get(key)
    return int.from_bytes(stored, "big") if stored else 0


def after(prefix: bytes) -> bytes:
    """The end of a scan over all keys that begin with `prefix`."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))
