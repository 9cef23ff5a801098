"""The callbacks by which a session asks the local store and its peer. An answer of None is a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from peatnode.model.documents import BucketEntry
from peatnode.model.peer_limits import MAX_ENTRIES
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
MAX_READS = MAX_ENTRIES // ENTRIES_PER_READ


class BucketListing:
    """Reads the entries of some buckets in order, from a tree key on, and calls `then` once; None: a read failed.

    There are at most MAX_ENTRIES, and `next_tree_key` tells where the rest begins: one bucket may hold any number of
    documents, since whoever names them can compute where they lie.
    """

    def __init__(
        self,
        ask_store: StoreAsker,
        indexes: tuple[int, ...],
        tree_key: bytes,
        then: Callable[[BucketsReply | None], None],
    ) -> None:
        self._ask_store = ask_store
        self._then = then
        self._runs = _adjacent_runs(indexes)
        self._entries: list[BucketEntry] = []
        self._reads_left = MAX_READS
        self._read(tree_key)

    def _read(self, tree_key: bytes) -> None:
        self._reads_left -= 1
        self._ask_store(ReadBuckets(self._runs, tree_key, ENTRIES_PER_READ), self._answered)

    def _answered(self, answer: StoreAnswer | None) -> None:
        if not isinstance(answer, BucketsReply):
            self._then(None)
            return
        self._entries += answer.entries
        if answer.next_tree_key and self._reads_left:
            self._read(answer.next_tree_key)
        else:
            self._then(BucketsReply(tuple(self._entries), answer.next_tree_key))


def _adjacent_runs(indexes: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    runs: list[tuple[int, int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return tuple(runs)
