"""Own writes that another writer of this node's client ids may contradict, and how they are taken out of a document.

A machine whose memory and disk go back to an earlier state writes again under clocks that its peers know already. What
it has written since, and no peer has, is withdrawn and written again under a new id. The store does the second part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgpack

from peatnode.documents.content.aligned import aligned
from peatnode.documents.replica.keyspace import META
from peatnode.documents.yjs.clocks.ranges import MAX_CLOCK
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.merge import structs_below, structs_from
from peatnode.documents.yjs.structs import DELETED, GC, Struct
from peatnode.documents.yjs.update import Update

MAX_OWN_WRITES = 100_000
"""Documents that are remembered. The oldest stay, and `OwnWrites.is_complete` tells that others were written."""
MAX_ROOTS = 8
"""Roots that are remembered until a peer turns out to have one of them too."""

PENDING = META + b"withdraw\0"
"""Begins the keys of documents that have to be withdrawn, so that a restart continues."""


class OwnWrite(NamedTuple):
    """The first of this node's writes to a document that no peer is known to have."""

    client: int
    incarnation: int
    clock: int
    """Of the client before that write."""
    sequence: int
    """Of the last of these writes."""
    derived: tuple[int, ...] = ()
    """Derived ids of later writes, which may depend on these. Another writer of such an id says the same."""


class OwnWrites:
    """The documents that this node has written since its start and that no peer is known to have.

    When another writer contradicts one of them, all of them have to be withdrawn: `pending`.
    """

    def __init__(self) -> None:
        self.pending: dict[bytes, OwnWrite] = {}
        self.is_complete = True
        """Whether there were never more than MAX_OWN_WRITES."""
        self.is_confirmed = False
        """Whether a peer turned out to have own writes since the start as they are here. Until then, a peer that seems
        to have some gets no more of their documents, because it may have others under the same clocks."""
        self._written: dict[bytes, OwnWrite] = {}
        self._served: dict[bytes, int] = {}
        self._same: dict[bytes, int] = {}
        """Sequence of the last write to a document when a peer turned out to have the same."""
        self._withdrawn: dict[bytes, int] = {}
        self._roots: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._written)

    def note(self, key: bytes, client: int, incarnation: int, clock: int, sequence: int) -> None:
        """Notes a write; `clock` is the client's clock in the document before it."""
        before = self._written.get(key)
        if before is not None and before[:2] == (client, incarnation):
            self._written[key] = before._replace(sequence=sequence)
            return
        if before is None and len(self._written) >= MAX_OWN_WRITES:
            self.is_complete = False
            return
        self._written[key] = OwnWrite(client, incarnation, clock, sequence)

    def note_derived(self, key: bytes, incarnation: int, client: int) -> None:
        """Notes a write under a derived id. On its own, nobody can contradict it."""
        before = self._written.get(key)
        if before is not None and before.incarnation == incarnation:
            self._written[key] = before._replace(derived=(*before.derived, client))

    def find(self, key: bytes, incarnation: int) -> OwnWrite | None:
        """The writes to a document that no peer is known to have, and that are not withdrawn yet."""
        write = self.pending.get(key) or self._written.get(key)
        return write if write is not None and write.incarnation == incarnation else None

    def is_doubtful(self, key: bytes, incarnation: int, vector: Mapping[int, int]) -> bool:
        """Whether a peer with this state vector may have other structs under clocks of these writes."""
        if key in self.pending:
            return True
        write = None if self.is_confirmed else self.find(key, incarnation)
        if write is None:
            return False
        return vector.get(write.client, 0) > max(write.clock, self._served.get(key, 0))

    def is_unconfirmed(self, key: bytes, incarnation: int) -> bool:
        """Whether a peer may have other structs under clocks of these writes, and does not say which it has.

        What another document has shown is not enough here: the peer would take these structs for those of a clash.
        """
        write = self.find(key, incarnation)
        return write is not None and self._same.get(key) != write.sequence

    def served(self, key: bytes, record_vector: Mapping[int, int], incarnation: int) -> None:
        """Notes that a peer gets these writes, so that it may have them later."""
        write = None if self.is_confirmed else self.find(key, incarnation)
        if write is not None:
            self._served[key] = record_vector.get(write.client, 0)

    def compared(self, key: bytes, difference: int | None) -> None:
        """Notes the first clock from which a peer has other structs; None: it has the same ones."""
        if difference is None:
            self._confirm()
            if key in self._written:
                self._same[key] = self._written[key].sequence
        elif key in self._written:
            self._written[key] = self._written[key]._replace(clock=difference)

    def is_withdrawn(self, key: bytes, clients: Iterable[int]) -> bool:
        """Whether one of `clients` is an id whose structs were withdrawn from this document."""
        client = self._withdrawn.get(key)
        return client is not None and client in clients

    def withdraw_all(self) -> None:
        """Everything written has to be withdrawn."""
        self.pending |= self._written
        self._written.clear()

    def committed(self, entries: Mapping[bytes, bytes | None]) -> None:
        """Removes the documents from `pending` whose entries a batch has deleted on disk."""
        for entry, value in entries.items():
            if value is None and entry.startswith(PENDING):
                key = entry[len(PENDING) :]
                write = self.pending.pop(key, None)
                if write is not None:
                    self._withdrawn[key] = write.client

    # --- what peers have

    def _confirm(self) -> None:
        self.is_confirmed = True
        self._served.clear()

    def root_read(self, root: bytes, sequence: int) -> None:
        """Notes the root of the hash tree at a sequence."""
        self._roots[root] = sequence
        if len(self._roots) > MAX_ROOTS:
            self._roots.popitem(last=False)

    def agreed(self, root: bytes) -> None:
        """Forgets what was written before this root, because a peer had the same root and so has the same documents."""
        sequence = self._roots.pop(root, None)
        if sequence is None:
            return
        self._confirm()
        if self._written:
            self._written = {k: w for k, w in self._written.items() if w.sequence > sequence}
            self._same = {k: s for k, s in self._same.items() if k in self._written}


def encode_own_write(write: OwnWrite) -> bytes:
    packed: bytes = msgpack.packb(tuple(write))
    return packed


def decode_own_write(data: bytes) -> OwnWrite:
    return OwnWrite(*msgpack.unpackb(data, use_list=False))


def without_own_writes(whole: Update, write: OwnWrite) -> Update | None:
    """A document's state without this node's structs from the clock on, and its derived writes that depend on them.

    None if structs of others depend on any of them.
    """
    structs = dict(whole.structs)
    own = structs_below(structs.pop(write.client, ()), write.clock)
    if own:
        structs[write.client] = own
    gone = {write.client: write.clock}
    while dependent := [c for c, found in structs.items() if _depends(found, gone)]:
        if not set(dependent) <= set(write.derived):
            return None
        for client in dependent:
            del structs[client]
            gone[client] = 0
    kept = (
        (client, start, min(end, gone.get(client, end))) for client, start, end in whole.delete_set
    )
    return Update(structs, DeleteSet.from_ranges(kept))


def first_difference(
    client: int, mine: Sequence[Struct], theirs: Sequence[Struct], clock: int
) -> int | None:
    """The first clock, from `clock` on, under which both have a struct and not the same one.

    A deleted struct may have lost its content on one side, so only its place is compared. Garbage has no place.
    """
    lists = (structs_from(client, structs, clock) for structs in (mine, theirs))
    for left, right in aligned(client, *lists):
        if left is not None and right is not None and not _are_same(left, right):
            return left.clock
    return None


def _are_same(left: Struct, right: Struct) -> bool:
    kinds = (left.kind, right.kind)
    if GC in kinds:
        return True
    return left.place == right.place if DELETED in kinds else left.raw == right.raw


def _depends(structs: Iterable[Struct], gone: Mapping[int, int]) -> bool:
    """Whether a struct names one that is gone: `gone` has the first such clock of each client."""
    return any(
        isinstance(at, tuple) and at[1] >= gone.get(at[0], MAX_CLOCK)
        for struct in structs
        for at in (struct.origin, struct.right_origin, struct.parent)
    )
