"""Names in order, where adding and removing one takes microseconds also among a million."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

CHUNK_NAMES = 512
"""Names that are moved at most to make room for one, twice as many before a chunk is divided."""


class SortedNames:
    """A set of names, in chunks that follow each other."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        ordered = sorted(names)
        self._chunks = [
            ordered[at : at + CHUNK_NAMES] for at in range(0, len(ordered), CHUNK_NAMES)
        ]
        self._firsts = [chunk[0] for chunk in self._chunks]

    def add(self, name: str) -> None:
        """Adds a name that is not there."""
        if not self._chunks:
            self._chunks, self._firsts = [[name]], [name]
            return
        at = max(bisect_right(self._firsts, name) - 1, 0)
        chunk = self._chunks[at]
        chunk.insert(bisect_left(chunk, name), name)
        self._firsts[at] = chunk[0]
        if len(chunk) > 2 * CHUNK_NAMES:
            self._chunks[at : at + 1] = chunk[:CHUNK_NAMES], chunk[CHUNK_NAMES:]
            self._firsts.insert(at + 1, chunk[CHUNK_NAMES])

    def remove(self, name: str) -> None:
        """Removes a name that is there."""
        at = bisect_right(self._firsts, name) - 1
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, name)]
        if chunk:
            self._firsts[at] = chunk[0]
        else:
            del self._chunks[at], self._firsts[at]

    def after(self, name: str) -> Iterator[str]:
        """The names above `name`, in order. No name may be added or removed meanwhile."""
        first = max(bisect_right(self._firsts, name) - 1, 0)
        for at in range(first, len(self._chunks)):
            chunk = self._chunks[at]
            yield from chunk[bisect_right(chunk, name) if at == first else 0 :]
