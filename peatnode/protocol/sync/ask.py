"""The callbacks by which a session asks the local store and its peer. An answer of None is a failure."""

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
    """Reads all entries of some buckets, in runs of adjacent buckets, and calls `then` once; None:
    a read failed."""

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
        runs = _adjacent_runs(indexes)
        self._open = len(runs)
        for first, last in runs:
            self._read(first, last, b"")

    def _read(self, first: int, last: int, tree_key: bytes) -> None:
        def on_answer(answer: StoreAnswer | None) -> None:
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

        self._ask_store(ReadBuckets(first, last, tree_key, ENTRIES_PER_READ), on_answer)


def _adjacent_runs(indexes: tuple[int, ...]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs
