"""A store of the simulator's own with the join rules of documents, so that a run of thousands of events is light.

A document's content is a state vector; an update is ranges of clocks `[client, from, to]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b

import msgpack

from peatnode.documents.limits import LATE_INCARNATION
from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.documents.replica.join import check_leap
from peatnode.model.clock import ClockReading
from peatnode.model.documents import BucketEntry, DocumentUpdate, Outcome, Wanted
from peatnode.model.members import (
    AllowDeletions,
    DeletionsAllowed,
    KeepMembership,
    MembershipReply,
    PausedDeletions,
    ReadMembership,
)
from peatnode.model.sync import (
    AppliedReply,
    ApplyUpdates,
    BucketsReply,
    ClockReply,
    JudgeClock,
    ReadBuckets,
    ReadDifferences,
    ReadRange,
    ReadTree,
    ReadVectors,
    StoreAnswer,
    StoreQuestion,
    TreeReply,
    UpdatesReply,
    VectorsReply,
)
from peatnode.model.tree import FAN_OUT, LEVELS
from tests.sim.clocks import EPOCH
from tests.support.members_in_memory import MembersInMemory
from workers.store.peers.deletion_guard import DeletionGuard, Life

Key = tuple[str, str]


class Document:
    __slots__ = ("fingerprint", "incarnation", "is_deleted", "vector")

    def __init__(self, incarnation: int, is_deleted: bool, vector: dict[int, int]) -> None:
        self.incarnation = incarnation
        self.is_deleted = is_deleted
        self.vector = vector
        content = repr((incarnation, is_deleted, sorted(vector.items())))
        self.fingerprint = blake2b(content.encode(), digest_size=16).digest()


class StandinStore:
    """What a store keeps on disk. Every method is one moment."""

    def __init__(
        self, read_clock: Callable[[], ClockReading] = lambda: ClockReading(EPOCH, EPOCH)
    ) -> None:
        self._read_clock = read_clock
        self.documents: dict[Key, Document] = {}
        self.refused: set[Key] = set()
        """What is not taken from anybody."""
        self.most_listed = 10_000
        """Entries of buckets in one answer."""
        self.takes_leaps = False
        """As if an operator accepted every leap of an incarnation."""
        self.quarantine: dict[Key, DocumentUpdate] = {}
        """The furthest leap of each document that was refused, without those to the end, which an operator drops."""
        self.members = MembersInMemory()
        self.guard = DeletionGuard(0)
        """Of the deletions of each peer: 0 is no limit."""
        self.feed: list[tuple[DocumentUpdate, str]] = []
        """(update, origin); the sequence is the position + 1."""
        self._tree: list[dict[int, int]] = [{} for _ in range(LEVELS + 1)]
        self._buckets: dict[int, dict[bytes, Key]] = {}

    @property
    def sequence(self) -> int:
        return len(self.feed)

    @property
    def root(self) -> bytes:
        return self._hash(0, 0)

    @property
    def paused(self) -> tuple[PausedDeletions, ...]:
        """The peers of which no deletions are carried out."""
        return self.guard.paused

    def write(self, key: Key, client: int) -> DocumentUpdate:
        """A local write: one more clock of `client`; it begins the next incarnation where there is a tombstone."""
        old = self.documents.get(key)
        if old is None or old.is_deleted:
            incarnation, clock = (old.incarnation + 1 if old else 1), 0
        else:
            incarnation, clock = old.incarnation, old.vector.get(client, 0)
        update = DocumentUpdate(
            *key, incarnation, False, 0.0, msgpack.packb([[client, clock, clock + 1]])
        )
        assert self.apply(update, "") is Outcome.APPLIED
        return update

    def delete(self, key: Key) -> DocumentUpdate | None:
        old = self.documents.get(key)
        if old is None or old.is_deleted:
            return None
        update = DocumentUpdate(*key, old.incarnation, True, 0.0, b"")
        self.apply(update, "")
        return update

    def apply(self, update: DocumentUpdate, origin: str, peer: str = "") -> Outcome:
        """`peer`: node id of the sender, whose deletions are counted; empty: they are not."""
        key = (update.collection, update.id)
        if key in self.refused:
            return Outcome.REFUSED
        old = self.documents.get(key)
        if not self.takes_leaps and check_leap(old, update.incarnation) is not None:
            kept = self.quarantine.get(key)
            is_further = kept is None or kept.incarnation < update.incarnation
            if is_further and update.incarnation < LATE_INCARNATION:
                self.quarantine[key] = update
            return Outcome.REFUSED
        if old is not None and update.incarnation < old.incarnation:
            return Outcome.STALE
        is_same = old is not None and update.incarnation == old.incarnation
        if old is not None and is_same and old.is_deleted:
            return Outcome.KNOWN if update.is_deleted else Outcome.STALE
        vector = dict(old.vector) if old is not None and is_same else {}
        before = dict(vector)
        for client, start, end in () if update.is_deleted else msgpack.unpackb(update.update):
            if start > vector.get(client, 0):
                return Outcome.GAP
            vector[client] = max(end, vector.get(client, 0))
        if is_same and vector == before and not update.is_deleted:
            return Outcome.KNOWN
        new = Document(update.incarnation, update.is_deleted, {} if update.is_deleted else vector)
        if peer and not self._may_join(key, old, new, peer):
            return Outcome.REFUSED
        self._put(key, new)
        self.feed.append((update, origin))
        return Outcome.APPLIED

    def _may_join(self, key: Key, old: Document | None, new: Document, peer: str) -> bool:
        """Whether a change of a peer ends nothing that lives here, or may."""
        reading, name = self._read_clock(), "\0".join(key).encode()
        lives = old is not None and not old.is_deleted
        begins = old is None or (not new.is_deleted and new.incarnation != old.incarnation)
        known = {} if old is None else old.vector
        holds_all = all(new.vector.get(client, 0) >= end for client, end in known.items())
        if old is not None and lives and (new.is_deleted or (begins and not holds_all)):
            life: Life = name, old.incarnation
            if self.guard.refusal(peer, life, 0.0, 0.0, reading.steady, reading.unix):
                return False
        if begins and not new.is_deleted and not (lives and holds_all):
            self.guard.began(peer, (name, new.incarnation), reading.steady)
        return True

    def accept_leaps(self) -> None:
        """As an operator who accepts what waits in the quarantine."""
        kept, self.quarantine = self.quarantine, {}
        self.takes_leaps = True
        for update in kept.values():
            self.apply(update, "")

    def _put(self, key: Key, document: Document) -> None:
        name = document_key(*key)
        tree_key = tree_key_of(name) + name
        old = self.documents.get(key)
        change = _digest(tree_key, document) ^ (_digest(tree_key, old) if old else 0)
        index = int.from_bytes(tree_key[:2], "big")
        self._buckets.setdefault(index, {})[tree_key] = key
        for level in range(LEVELS, -1, -1):
            nodes = self._tree[level]
            nodes[index] = nodes.get(index, 0) ^ change
            index //= FAN_OUT
        self.documents[key] = document

    def _hash(self, level: int, index: int) -> bytes:
        return self._tree[level].get(index, 0).to_bytes(16, "big")

    def holds(self, update: DocumentUpdate) -> bool:
        """Whether this change is in here, or ended by a deletion or a later incarnation."""
        document = self.documents.get((update.collection, update.id))
        if document is None or document.incarnation < update.incarnation:
            return False
        if document.incarnation > update.incarnation or document.is_deleted:
            return True
        if update.is_deleted:
            return False
        ranges = msgpack.unpackb(update.update)
        return all(document.vector.get(client, 0) >= end for client, _, end in ranges)

    def answer(self, question: StoreQuestion) -> StoreAnswer:
        match question:
            case ReadTree():
                hashes = tuple([self._hash(question.level, i) for i in question.indexes])
                count = -1 if question.level else self._count()
                return TreeReply(hashes, self.sequence, count)
            case ReadBuckets():
                return self._read_buckets(question)
            case ReadVectors():
                return VectorsReply(tuple([self._wanted(key) for key in question.documents]))
            case ReadDifferences():
                updates = [self._difference(wanted) for wanted in question.wanted]
                found = tuple([update for update in updates if update is not None])
                return UpdatesReply(found, len(question.wanted), b"")
            case ReadRange():
                return self._read_range(question)
            case ApplyUpdates():
                return self._apply_all(question)
            case JudgeClock():
                return ClockReply()
            case AllowDeletions():
                return DeletionsAllowed(self.guard.allow(question.peer, self._read_clock().steady))
            case ReadMembership() | KeepMembership():
                answer = self.members.answer(question)
                if isinstance(answer, MembershipReply):
                    return replace(answer, paused=self.paused)
                return answer

    def _apply_all(self, question: ApplyUpdates) -> AppliedReply:
        origin, peer = question.origin, question.peer
        outcomes = tuple([self.apply(one, origin, peer) for one in question.updates])
        pause = self.guard.pause_of(peer)
        return AppliedReply(
            outcomes,
            ("",) * len(outcomes),
            self.sequence,
            self._count(),
            pause.node_id if pause else "",
            pause.at if pause else 0.0,
            pause.refused if pause else 0,
        )

    def _count(self) -> int:
        return sum(not document.is_deleted for document in self.documents.values())

    def _tree_keys(self, first: int, last: int, tree_key: bytes) -> list[tuple[bytes, Key]]:
        indexes = [i for i in self._buckets if first <= i <= last]
        pairs = [pair for i in indexes for pair in self._buckets[i].items()]
        return sorted(pair for pair in pairs if pair[0] >= tree_key)

    def _read_buckets(self, question: ReadBuckets) -> BucketsReply:
        tree_keys = [
            found for run in question.runs for found in self._tree_keys(*run, question.tree_key)
        ]
        limit = min(question.limit, self.most_listed)
        taken, rest = tree_keys[:limit], tree_keys[limit:]
        entries = [self._entry(key) for _, key in taken]
        return BucketsReply(tuple(entries), rest[0][0] if rest else b"")

    def _read_range(self, question: ReadRange) -> UpdatesReply:
        """Few documents at a time, so that ranges go on."""
        tree_keys = self._tree_keys(question.first, question.last, question.tree_key)
        taken, rest = tree_keys[:5], tree_keys[5:]
        updates = [self._difference(Wanted(*key, 0, b"")) for _, key in taken]
        found = tuple([update for update in updates if update is not None])
        return UpdatesReply(found, 0, rest[0][0] if rest else b"")

    def _entry(self, key: Key) -> BucketEntry:
        document = self.documents[key]
        return BucketEntry(*key, document.incarnation, document.is_deleted, document.fingerprint)

    def _wanted(self, key: Key) -> Wanted:
        document = self.documents.get(key)
        if document is None:
            return Wanted(*key, 0, b"")
        vector = [list(item) for item in document.vector.items()]
        return Wanted(*key, document.incarnation, msgpack.packb(vector))

    def _difference(self, wanted: Wanted) -> DocumentUpdate | None:
        key = (wanted.collection, wanted.id)
        document = self.documents.get(key)
        if document is None or document.incarnation < wanted.incarnation:
            return None
        if document.is_deleted:
            return DocumentUpdate(*key, document.incarnation, True, 0.0, b"")
        is_same = document.incarnation == wanted.incarnation and wanted.state_vector
        known = dict(msgpack.unpackb(wanted.state_vector)) if is_same else {}
        ranges = [
            [client, known.get(client, 0), clock]
            for client, clock in document.vector.items()
            if clock > known.get(client, 0)
        ]
        if not ranges and is_same:
            return None
        return DocumentUpdate(*key, document.incarnation, False, 0.0, msgpack.packb(ranges))


def _digest(tree_key: bytes, document: Document) -> int:
    digest = blake2b(tree_key + document.fingerprint, digest_size=16).digest()
    return int.from_bytes(digest, "big")
