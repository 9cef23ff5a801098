"""How a session asks the local store and its peer. An answer of None means that there is none now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from peatnode.model.documents import BucketEntry
from peatnode.model.sync import BucketsReply, ReadBuckets, StoreAnswer, StoreQuestion
from peatnode.protocol.wire.messages import Buckets, Message, Tree, Updates

StoreAsker = Callable[[StoreQuestion, Callable[[StoreAnswer | None], None]], None]
PeerAnswer = Tree | Buckets | Updates


class PeerAsker(Protocol):
    def __call__(
        self, make: Callable[[int], Message], then: Callable[[PeerAnswer | None], None]
    ) -> None:
        """`make` builds the question from its number."""


ENTRIES_PER_READ = 2000


class BucketListing:
    """Reads every entry of some buckets, one run of adjacent buckets at a time, then calls `then` once."""

    def __init__(
        self,
        ask_store: StoreAsker,
        indexes: tuple[int, ...],
        then: Callable[[tuple[BucketEntry, ...] | None], None],
    ) -> None:
        self._ask_store = ask_store
        self._then = then
        self._entries: list[BucketEntry] = []
        self._has_failed = False
        runs = _runs(indexes)
        self._open = len(runs)
        for first, last in runs:
            self._read(first, last, b"")

    def _read(self, first: int, last: int, tree_key: bytes) -> None:
        def came(answer: StoreAnswer | None) -> None:
            if isinstance(answer, BucketsReply):
                self._entries.extend(answer.entries)
                if answer.next_tree_key:
                    self._read(first, last, answer.next_tree_key)
                    return
            else:
                self._has_failed = True
            self._open -= 1
            if not self._open:
                self._then(None if self._has_failed else tuple(self._entries))

        self._ask_store(ReadBuckets(first, last, tree_key, ENTRIES_PER_READ), came)


def _runs(indexes: tuple[int, ...]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs
