"""A disk that forgets: an ordered map of bytes whose newest batches can be lost, synced or not."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Entry = tuple[bytes, bytes | None]

KEPT_BATCHES = 40
"""Batches that can be taken back."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a disk held at one moment, unsynced batches included: a copy may have caught them."""

    values: dict[bytes, bytes]
    sequence: int


@dataclass(slots=True)
class _Batch:
    before: list[Entry]
    """What each key held before."""
    sequence: int
    """The sequence of the disk before the batch."""


class ForgetfulDisk:
    """The database of a store. `write` adds an unsynced batch, `sync` makes all batches before it durable."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._batches: list[_Batch] = []
        self.unsynced = 0
        """The newest batches that a crash may take away."""
        self.sequence = 0
        """Counts the written entries, as RocksDB does."""

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        for key in reversed(keys) if reverse else keys:
            yield key, self._values[key]

    def write(self, entries: Iterable[Entry]) -> None:
        batch = _Batch([], self.sequence)
        for key, value in entries:
            batch.before.append((key, self._values.get(key)))
            self._set(key, value)
            self.sequence += 1
        self._batches.append(batch)
        self.unsynced += 1

    def delete_range(self, start: bytes, end: bytes) -> None:
        self.write([(key, None) for key, _ in list(self.scan(start, end))])

    def _set(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value

    def sync(self, batches: int | None = None) -> None:
        """Makes the oldest unsynced batches durable; all of them by default."""
        self.unsynced -= self.unsynced if batches is None else batches
        durable = len(self._batches) - self.unsynced
        del self._batches[: max(0, durable - KEPT_BATCHES)]

    def batches_since(self, sequence: int) -> int:
        """How many of the kept batches were written when the sequence was this one, or later."""
        return sum(batch.sequence >= sequence for batch in self._batches)

    def lose(self, batches: int) -> None:
        """Takes the newest batches back, as far as they are kept."""
        for _ in range(min(batches, len(self._batches))):
            batch = self._batches.pop()
            for key, value in reversed(batch.before):
                self._set(key, value)
            self.sequence = batch.sequence
            self.unsynced = max(0, self.unsynced - 1)

    def image(self) -> Image:
        return Image(dict(self._values), self.sequence)

    def restore(self, image: Image) -> None:
        self._values = dict(image.values)
        self._keys = sorted(self._values)
        self.sequence = image.sequence
        self._batches.clear()
        self.unsynced = 0

    def durable(self, key: bytes) -> bytes | None:
        """What the disk holds for certain under a key."""
        for batch in self._batches[len(self._batches) - self.unsynced :]:
            for changed, before in batch.before:
                if changed == key:
                    return before
        return self._values.get(key)
