"""The changes of the local feed that a connected peer may still need, bounded in bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from peatnode.model.feed import Change
from peatnode.protocol.wire.batches import pack_changes

MAX_LOG_BYTES = 8 * 1024 * 1024
"""A peer that is further behind catches up by anti-entropy."""

_ENTRY_OVERHEAD = 200
_KEPT_PACKED = 4
MAX_FORMER = 16
"""Former generations of the store that are remembered."""


class PushLog:
    """The changes between the slowest peer and the newest change.

    Positions count the changes since the start of the process. The cursor of a peer is a position.
    """

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._first = 0
        self._bytes = 0
        self._packed: dict[tuple[int, ...], bytes] = {}
        self.upto = -1
        """Sequence up to which the feed has delivered changes."""
        self._generation = 0
        self._former: deque[int] = deque(maxlen=MAX_FORMER)

    @property
    def first(self) -> int:
        return self._first

    @property
    def end(self) -> int:
        return self._first + len(self._changes)

    def name_feed(self, generation: int) -> None:
        """Sets the generation of the store whose sequences follow."""
        if generation != self._generation:
            self._former.append(self._generation)
            self._generation = generation

    def is_of(self, generation: int) -> bool:
        """Whether sequences of this generation are those of the log. True for 0, which stands for unknown."""
        return generation in (0, self._generation)

    def is_over(self, generation: int) -> bool:
        """Whether the feed of this generation was followed before, and has ended."""
        return generation in self._former and not self.is_of(generation)

    def restart(self, upto: int) -> None:
        """Continues after a restart of the feed.
        Older changes can still be pushed, but their sequences are invalid."""
        self._changes = [replace(change, sequence=-1) for change in self._changes]
        self.upto = upto

    def append(self, change: Change) -> None:
        self._changes.append(change)
        self._bytes += size_of(change)

    def change_at(self, position: int) -> Change:
        return self._changes[position - self._first]

    def trim(self, needed_from: int) -> None:
        """Drops the changes before `needed_from`, then the oldest ones while the log exceeds its bound."""
        count = max(0, min(needed_from, self.end) - self._first)
        size = self._bytes - sum(size_of(change) for change in self._changes[:count])
        while size > MAX_LOG_BYTES:
            size -= size_of(self._changes[count])
            count += 1
        if count:
            del self._changes[:count]
            self._first += count
            self._bytes = size

    def pack(self, positions: list[int]) -> bytes:
        """The batch of these changes. The last few batches are cached,
        because most peers need the same ones."""
        key = tuple(positions)
        packed = self._packed.get(key)
        if packed is None:
            packed = pack_changes([self.change_at(p) for p in positions])
            self._packed[key] = packed
            if len(self._packed) > _KEPT_PACKED:
                del self._packed[next(iter(self._packed))]
        return packed


def size_of(change: Change) -> int:
    """Bytes that a change adds to the log."""
    return len(change.update) + _ENTRY_OVERHEAD
