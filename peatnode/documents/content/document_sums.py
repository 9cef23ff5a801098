"""The content sums of documents after updates: each costs what the update costs, because what it deletes is cached."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from peatnode.documents.content.live_content import LiveContent
from peatnode.documents.content.state_sum import deleted_sum, items_sum, state_sum
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.json.root_maps import RootMaps
from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.documents.yjs.update import Update

MAX_BYTES = 16 * 1024 * 1024
"""Estimated size of all that is cached. One document is always cached, however large it is."""

Ranges = Sequence[tuple[int, int, int]]


class Summed(NamedTuple):
    """A document before an update."""

    key: bytes
    sequence: int
    """Of its last change. Two states of a document never share one."""
    content_sum: int
    vector: StateVector
    states: Callable[[], Sequence[bytes]]
    """Reads its state, as updates in causal order."""


class DocumentSums:
    """Computes content sums, and keeps what is alive in documents from which something was deleted lately."""

    def __init__(self, sums: UnitSums) -> None:
        self._sums = sums
        self._live: OrderedDict[bytes, tuple[int, LiveContent]] = OrderedDict()
        self._bytes = 0
        self._ahead: tuple[Update, int] | None = None

    def of_state(self, key: bytes, state: Update) -> int:
        """The sum of a whole document, which takes the place of any other one under this key."""
        self.drop(key)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is state:
            return ahead[1]
        return state_sum(self._sums, state)

    def sum_ahead(self, state: Update) -> None:
        """Computes the sum of a whole document that is the next one in `of_state`. May run in a thread."""
        self._ahead = state, state_sum(self._sums, state)

    def after(
        self, before: Summed, update: Update, sequence: int, maps: RootMaps | None = None
    ) -> int:
        """The sum after an update, which holds only what is new. The document's last change then has `sequence`.

        `maps`: the root maps before the update, if they are at hand.
        """
        sums, deleted = self._sums, update.delete_set
        self._ahead = None
        total = before.content_sum + items_sum(sums, update, deleted)
        if deleted.is_empty:
            self._carry(before, update, sequence)
            return total % sums.prime
        total += deleted_sum(sums, deleted)
        known = list(_known(deleted, before.vector))
        if not known:
            self._carry(before, update, sequence)
        else:
            removed = self._in_maps(maps, known)
            if removed is None:
                removed = self._in_content(before, update, sequence, known)
            if removed is None:
                return self._anew(before, update)
            total -= removed
        return total % sums.prime

    def _in_maps(self, maps: RootMaps | None, deleted: Ranges) -> int | None:
        """What deleted units added for their contents, if all of them are entries of root maps; else None."""
        if maps is None or maps.lists is not None:
            return None  # of a document with lists, the cached entries have lost their places
        entries = {entry.at: entry for entry in maps.root.values()}
        if maps.control:
            entries.update((entry.at, entry) for entry in maps.control.values())
        total = 0
        for client, start, end in deleted:
            if end - start > len(entries):
                return None
            for clock in range(start, end):
                entry = entries.get((client, clock))
                if entry is None or entry.is_deleted or entry.struct.length > 1:
                    return None
                total += self._sums.content(client, entry.struct)
        return total

    def _in_content(
        self, before: Summed, update: Update, sequence: int, deleted: Ranges
    ) -> int | None:
        """What deleted units added for their contents; None if the state does not have all of them alive."""
        content = self._take(before) or LiveContent.of(_merged(before.states()))
        found = total = 0
        for client, start, end in deleted:
            units, removed = content.remove(self._sums, client, start, end)
            found, total = found + units, total + removed
        if found != sum(end - start for _, start, end in deleted):
            return None
        content.add(update, update.delete_set)
        self._put(before.key, sequence, content)
        return total

    def _anew(self, before: Summed, update: Update) -> int:
        """The sum from all units, for an update that deletes what is deleted, or what nobody has."""
        self.drop(before.key)
        return state_sum(self._sums, _merged((*before.states(), update)))

    # --- the cache

    def has_content(self, key: bytes, sequence: int) -> bool:
        """Whether the next deletion in a document is found without its state."""
        found = self._live.get(key)
        return found is not None and found[0] == sequence

    def keep(self, key: bytes, sequence: int, content: LiveContent) -> None:
        """Keeps the live content of a document, which somebody else has read."""
        self._put(key, sequence, content)

    def drop(self, key: bytes) -> None:
        """Forgets a document whose state is another one now."""
        found = self._live.pop(key, None)
        if found is not None:
            self._bytes -= found[1].weight

    def clear(self) -> None:
        """Forgets everything, because changes were discarded."""
        self._live.clear()
        self._bytes = 0

    def _carry(self, before: Summed, update: Update, sequence: int) -> None:
        content = self._take(before)
        if content is not None:
            content.add(update, update.delete_set)
            self._put(before.key, sequence, content)

    def _take(self, before: Summed) -> LiveContent | None:
        """Removes the content of a document, which is about to change; None if there is none of this state."""
        found = self._live.pop(before.key, None)
        if found is None:
            return None
        self._bytes -= found[1].weight
        return found[1] if found[0] == before.sequence else None

    def _put(self, key: bytes, sequence: int, content: LiveContent) -> None:
        self.drop(key)
        self._live[key] = sequence, content
        self._bytes += content.weight
        while self._bytes > MAX_BYTES and len(self._live) > 1:
            self._bytes -= self._live.popitem(last=False)[1][1].weight


def _known(deleted: DeleteSet, vector: StateVector) -> Iterable[tuple[int, int, int]]:
    """The deleted ranges of what the document had before the update."""
    for client, ranges in deleted.ranges.items():
        end = vector.get(client, 0)
        for start, stop in ranges:
            if start < end:
                yield client, start, min(stop, end)


def _merged(states: Iterable[bytes | Update]) -> Update:
    return merge_updates(states, STATE_LIMITS)
