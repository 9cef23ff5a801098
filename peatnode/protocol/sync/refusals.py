"""What is not fetched again: updates that the local store refused, and documents that were compared as a whole."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from dataclasses import dataclass

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import bucket_of, tree_key_of

MAX_REFUSALS = 1024

MAX_OLDER = 65_536
"""Documents that are not fetched again although their refusals are no longer among the newest. A peer that has more of
them would otherwise send all of them for each comparison of roots."""

MAX_COMPARISONS = 4096
"""Pairs of fingerprints that are remembered, of each of the two kinds."""

COMPARED_AGAIN = 100
"""A pair that was compared is compared again after it was found so often: about ten minutes later."""

Pair = tuple[str, str, bytes, bytes]
"""Collection, id, the peer's fingerprint and the local one."""


@dataclass(frozen=True, slots=True)
class RefusedDocument:
    """A document of which the store refused an update."""

    collection: str
    id: str
    peer: str
    """Node id of the sender."""
    since: float
    reason: str


_Key = tuple[str, str, bytes]
"""Collection, id, the peer's fingerprint."""


class Refusals:
    """The newest MAX_REFUSALS refusals, by document and the peer's fingerprint of it, and the hashes of older ones."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[_Key, RefusedDocument] = OrderedDict()
        self._keys: dict[tuple[str, str], set[_Key]] = {}
        """By document: a change costs the same, however many refusals there are."""
        self._older: dict[str, dict[int, int]] = {}
        """By peer: the hash of the fingerprint that was refused last, by that of the document."""
        self._older_count = 0
        self._buckets: list[int] = []
        """Those of the documents in `_keys`, in order."""
        self.changes = 0
        """Counts what was added or removed."""
        self.paused: set[str] = set()
        """Node ids of the peers whose deletions the store refuses: they are not fetched."""
        self._decisions = 0

    def __len__(self) -> int:
        return len(self._by_key) + self._older_count

    def add(self, refusal: RefusedDocument, fingerprint: bytes) -> None:
        """Adds a refusal. With an empty `fingerprint` (unknown) it is reported,
        but does not prevent the next fetch."""
        key = (refusal.collection, refusal.id, fingerprint)
        if key not in self._by_key:
            self.changes += 1
            self._by_key[key] = refusal
            self._note(key)
            if len(self._by_key) > MAX_REFUSALS:
                oldest = next(iter(self._by_key))
                self._keep_older(oldest, self._by_key[oldest].peer)
                self._remove(oldest)

    def _keep_older(self, key: _Key, peer: str) -> None:
        if self._older_count >= MAX_OLDER:
            self._older.clear()
            self._older_count = 0
        if key[2]:
            older = self._older.setdefault(peer, {})
            self._older_count += hash(key[:2]) not in older
            older[hash(key[:2])] = hash(key[2])

    def is_refused(self, collection: str, id: str, fingerprint: bytes) -> bool:
        if (collection, id, fingerprint) in self._by_key:
            return True
        if not self._older:
            return False
        document, state = hash((collection, id)), hash(fingerprint)
        return any(older.get(document) == state for older in self._older.values())

    def find(self, collection: str, id: str, fingerprint: bytes) -> RefusedDocument | None:
        """The refusal of what a peer has, whoever sent it; None: it is not among the newest."""
        return self._by_key.get((collection, id, fingerprint))

    def are_within(self, first: int, last: int) -> bool:
        """Whether a document of the buckets `first` to `last` was refused: they are listed, and not fetched whole."""
        if self._older_count:  # they may lie anywhere
            return True
        at = bisect_left(self._buckets, first)
        return at < len(self._buckets) and self._buckets[at] <= last

    def forget(self, collection: str, id: str) -> None:
        """Removes the refusals of a document, after another state of it was applied or the document has changed."""
        for key in tuple(self._keys.get((collection, id), ())):
            self._remove(key)
        if self._older:
            document = hash((collection, id))
            for older in self._older.values():
                self._older_count -= older.pop(document, None) is not None

    def forget_peer(self, peer: str) -> None:
        """Removes the refusals of a peer whose documents have become equal to the local ones."""
        self._older_count -= len(self._older.pop(peer, ()))
        if self._by_key:
            for key in [key for key, refusal in self._by_key.items() if refusal.peer == peer]:
                self._remove(key)

    def decided(self, decisions: int) -> None:
        """So often operators have decided on what the store keeps in quarantine.

        What was refused beside it, as a smaller leap of the same document, is fetched again, and decided on next.
        """
        if decisions != self._decisions:
            self._decisions = decisions
            self._clear()

    def pause(self, peer: str) -> None:
        """The store refuses the deletions of a peer."""
        self.paused.add(peer)
        self.changes += 1

    def resume(self, peer: str) -> None:
        """The store carries them out again. What it refused is fetched, from whichever peer has it."""
        self.paused.discard(peer)
        self._clear()

    def _clear(self) -> None:
        self.changes += 1
        self._by_key.clear()
        self._keys.clear()
        self._older.clear()
        self._older_count = 0
        self._buckets.clear()

    def _note(self, key: _Key) -> None:
        names = key[:2]
        if names not in self._keys:
            self._keys[names] = set()
            insort(self._buckets, _bucket(*names))
        self._keys[names].add(key)

    def _remove(self, key: _Key) -> None:
        self.changes += 1
        del self._by_key[key]
        names = key[:2]
        keys = self._keys[names]
        keys.remove(key)
        if not keys:
            del self._keys[names]
            self._buckets.remove(_bucket(*names))

    def all(self) -> tuple[RefusedDocument, ...]:
        return tuple(self._by_key.values())

    def of_peer(self, peer: str) -> tuple[RefusedDocument, ...]:
        """The last refusal of each document of which this node sent an update, the oldest first."""
        found = (refusal for refusal in self._by_key.values() if refusal.peer == peer)
        return tuple({(one.collection, one.id): one for one in found}.values())


def _bucket(collection: str, id: str) -> int:
    return bucket_of(tree_key_of(document_key(collection, id)))


class Comparisons:
    """Pairs of different documents for which the usual difference brought nothing.

    Such a pair may be a race with a push, or a peer that has yet to fetch what it lacks. If it is found a second time,
    the whole document is fetched and compared: one client may have written two things under the same clocks.
    """

    def __init__(self) -> None:
        self._doubtful: OrderedDict[Pair, int] = OrderedDict()
        self._compared: OrderedDict[Pair, int] = OrderedDict()
        """How often they may still be found before they are compared again."""

    def is_due(self, pair: Pair) -> bool:
        """Whether the document is to be fetched as a whole."""
        return pair in self._doubtful

    def brought_nothing(self, pair: Pair) -> None:
        """Notes that the usual difference of a pair was empty."""
        left = self._compared.get(pair, 0)
        if left:
            self._compared[pair] = left - 1
        else:
            _remember(self._doubtful, pair, 0)

    def compared(self, pair: Pair) -> None:
        """Notes that the store has compared the whole document."""
        self._doubtful.pop(pair, None)
        _remember(self._compared, pair, COMPARED_AGAIN)


def _remember(pairs: OrderedDict[Pair, int], pair: Pair, number: int) -> None:
    pairs[pair] = number
    pairs.move_to_end(pair)
    if len(pairs) > MAX_COMPARISONS:
        pairs.popitem(last=False)
