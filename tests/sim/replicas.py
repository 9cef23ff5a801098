"""The real documents behind the simulator's stores: `Replica` over memory, with real Yjs updates."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import build, dump
from peatnode.documents.names import document_key, names_of
from peatnode.documents.replica.reads import (
    bucket_entries,
    document_update,
    missing_update,
    wanted_of,
)
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.update import decode_update
from peatnode.model.documents import BucketEntry, DocumentUpdate, Outcome, Wanted
from peatnode.model.states import ChangeAction
from peatnode.model.sync import (
    AppliedReply,
    ApplyUpdates,
    BucketsReply,
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
from tests.sim.standin import Key


class MemoryStore:
    """An ordered map of bytes: what is in here is on disk."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def scan(
        self, start: bytes, end: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, end)]
        for key in reversed(keys) if reverse else keys:
            yield key, self._values[key]

    def write(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            if self._values.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
            return
        if key not in self._values:
            insort(self._keys, key)
        self._values[key] = value


class ReplicaStore:
    """As StandinStore, of real documents."""

    def __init__(self) -> None:
        self._disk = MemoryStore()
        self._replica = Replica(self._disk, 1)
        self.feed: list[tuple[DocumentUpdate, str]] = []
        self._writes = 0

    @property
    def sequence(self) -> int:
        return self._replica.sequence

    @property
    def root(self) -> bytes:
        return self._replica.tree.root

    def open(self, client: int) -> None:
        """Restarts from what is on disk, without the staged writes. `client` is the id of a new generation."""
        self._replica = Replica(self._disk, client)

    def stage_and_lose(self, key: Key) -> None:
        """A write that never reaches the disk, as when the power fails."""
        self._stage(key)
        self._replica.take_batch()

    def write(self, key: Key, client: int) -> DocumentUpdate:
        if self._replica.client != client:
            self.open(client)
        self._stage(key)
        return self._commit()

    def _stage(self, key: Key) -> None:
        replica, name = self._replica, document_key(*key)
        self._writes += 1
        record = replica.live(name)
        maps = root_maps.NO_ROOT_MAPS
        if record is not None:
            # Where only an engine could tell what there is, a key is set as by one who has seen nothing of it.
            maps = root_maps.read(replica.merged(name, record)) or root_maps.NO_ROOT_MAPS
        target = dict(build(maps.shape()))
        target[f"field-{self._writes % 3}"] = f"{replica.client}:{self._writes}"
        if self._writes % 5 == 0 and len(target) > 1:
            target.pop(next(iter(target)))
        clock = record.state_vector.get(replica.client, 0) if record is not None else 0
        update = root_maps.change(maps, plan(maps.shape(), target), replica.client, clock)
        assert update is not None
        replica.write(name, update, dump(target))

    def delete(self, key: Key) -> DocumentUpdate | None:
        name = document_key(*key)
        if self._replica.live(name) is None:
            return None
        self._replica.delete(name)
        return self._commit()

    def _commit(self) -> DocumentUpdate:
        batch = self._replica.take_batch()
        for key, value in batch.writes():
            self._disk.write(key, value)
        self._replica.committed(batch)
        for change in batch.changes:
            entry = change.entry
            update = DocumentUpdate(
                entry.collection,
                entry.id,
                entry.incarnation,
                entry.action is ChangeAction.DELETED,
                0.0,
                change.update,
            )
            self.feed.append((update, entry.origin))
        return self.feed[-1][0] if self.feed else DocumentUpdate("", "", 0, False, 0.0, b"")

    def holds(self, update: DocumentUpdate) -> bool:
        record = self._replica.record_on_disk(document_key(update.collection, update.id))
        if record is None or record.incarnation < update.incarnation:
            return False
        if record.incarnation > update.incarnation or record.is_deleted:
            return True
        if update.is_deleted:
            return False
        told = decode_update(update.update)
        is_known = all(
            record.state_vector.get(client, 0) >= clock
            for client, clock in told.state_vector().items()
        )
        return is_known and told.delete_set.subtract(record.delete_set).is_empty

    def answer(self, question: StoreQuestion) -> StoreAnswer:
        replica = self._replica
        match question:
            case ReadTree():
                hashes = [replica.tree.hash(question.level, i) for i in question.indexes]
                return TreeReply(tuple(hashes), replica.sequence)
            case ReadBuckets():
                placed = list(
                    bucket_entries(replica, question.first, question.last, question.tree_key)
                )
                entries = [
                    BucketEntry(*names_of(p.key), p.incarnation, p.is_deleted, p.fingerprint)
                    for p in placed
                ]
                return BucketsReply(tuple(entries), b"")
            case ReadVectors():
                wanted = [
                    Wanted(*key, *wanted_of(replica, document_key(*key)))
                    for key in question.documents
                ]
                return VectorsReply(tuple(wanted))
            case ReadDifferences():
                found = [self._difference(wanted) for wanted in question.wanted]
                return UpdatesReply(
                    tuple([one for one in found if one is not None]), len(found), b""
                )
            case ReadRange():
                return self._read_range(question)
            case ApplyUpdates():
                outcomes = [self._join(one, question.origin) for one in question.updates]
                self._commit()
                return AppliedReply(tuple(outcomes), ("",) * len(outcomes), replica.sequence)

    def _join(self, update: DocumentUpdate, origin: str) -> Outcome:
        joined = self._replica.join(update, origin)
        assert joined.outcome is not Outcome.REFUSED, joined.reason
        assert not self._replica.is_client_id_taken
        return joined.outcome

    def _difference(self, wanted: Wanted) -> DocumentUpdate | None:
        name = document_key(wanted.collection, wanted.id)
        return missing_update(self._replica, name, wanted.incarnation, wanted.state_vector)

    def _read_range(self, question: ReadRange) -> UpdatesReply:
        placed = list(
            bucket_entries(self._replica, question.first, question.last, question.tree_key)
        )
        updates = []
        for one in placed[:5]:
            record = self._replica.record_on_disk(one.key)
            assert record is not None
            updates.append(document_update(self._replica, one.key, record))
        return UpdatesReply(tuple(updates), 0, placed[5].tree_key if len(placed) > 5 else b"")
