"""All documents of one node as records: reads, changes, and the batches in which changes reach the disk.

`join.py` has the rules for changes from peers and Yjs clients, `apply_update.py` computes the record after an update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from hashlib import sha256

from peatnode.documents.content.clash import with_history
from peatnode.documents.content.document_sums import DocumentSums
from peatnode.documents.content.live_content import LiveContent
from peatnode.documents.content.unit_sums import UnitSums, unkeyed_sums
from peatnode.documents.json import root_maps
from peatnode.documents.limits import (
    MAX_INCARNATION,
    MAX_STATE_BYTES,
    PEER_LIMITS,
    STATE_LIMITS,
)
from peatnode.documents.names import display_name, document_key
from peatnode.documents.replica.apply_update import RecordUpdater, compacted, is_log_long
from peatnode.documents.replica.conflicts import conflict_of, join_whole
from peatnode.documents.replica.flags import DocumentFlag
from peatnode.documents.replica.index.checkpoint import MAX_COLLECTIONS, Checkpoint
from peatnode.documents.replica.index.clock_cache import ClockCache
from peatnode.documents.replica.index.hash_tree import bucket_of
from peatnode.documents.replica.index.load import load_index
from peatnode.documents.replica.join import (
    CLIENT,
    NAME_EXHAUSTED,
    EndingGate,
    JoinResult,
    check_change,
    check_end,
    check_expiry,
    check_leap,
    check_room,
    ended_clocks,
    holds_all,
    is_again,
    is_end_of,
    new_part,
    read_update,
    state_bytes,
)
from peatnode.documents.replica.keyspace import (
    RECORD,
    TOMBSTONE,
    VALUE,
    KeyValue,
)
from peatnode.documents.replica.record import (
    EMPTY_STATE,
    EMPTY_VECTOR,
    EndedKeeper,
    EndedVector,
    Record,
    decode_record,
    ended_vector_after,
    tombstone,
    with_ended_of_peer,
)
from peatnode.documents.replica.state_packing import state_reader
from peatnode.documents.replica.withdraw import (
    OwnWrite,
    OwnWrites,
    first_difference,
    without_own_writes,
)
from peatnode.documents.replica.write_batch import WriteBatch
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.state_vector import encode_state_vector
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.errors import EntriesDiffer, NumbersExhausted
from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.feed import CONFLICT

CLOCKS_EXHAUSTED = "the writer of this node has no clock left in the document: delete the document and write it again"

WRITES_AGAIN = JoinResult(Outcome.GAP, "this node writes the document again under a new id")


class Replica:
    """All documents of one node, over an ordered key-value store that it only reads.

    Changes go into an open batch, and later operations see them. `take_batch` closes the batch for the caller to
    write, `committed` makes it visible to readers, and `forget` drops every batch that is not on disk. The
    replica also holds the hash tree, the counts of each collection, and the sequence of changes.
    """

    def __init__(
        self,
        kv: KeyValue,
        client: int,
        sample: Iterable[int] = (),
        sums: UnitSums | None = None,
    ) -> None:
        """Loads the index. `client` is the Yjs client id of own writes to first incarnations; see `client_of`.

        `sample`: buckets that are compared with their entries on disk. `sums`: under the key with which the records on
        disk were summed; the default has the empty key. Raises StorageFailed.
        """
        self.kv = kv
        self.client = client
        self.is_client_id_taken = False
        """Whether an update held unknown structs of this node's own client id, so that another writer uses it too."""
        self.is_contradicted = False
        """Whether such structs belong to a document that this node has written under that id."""
        self.own_writes = OwnWrites()
        self.keeper: EndedKeeper | None = None
        """Keeps what documents held when they ended; None: nobody does."""
        index = load_index(kv, sample)
        self.tree = index.tree
        self.counts = index.counts
        self.sequence = index.sequence
        """The sequence of the newest change on disk."""
        self.oldest_sequence = index.oldest_sequence
        """The sequence of the oldest change that the feed keeps."""
        self.checkpoint_sequence = index.checkpoint_sequence
        """The sequence of the checkpoint on disk; 0 if there is none. A start needs all changes after it."""
        self.checkpoint_fault = index.fault
        """Why the checkpoint on disk was not used; empty if it was right, or if there was none."""
        self._staged_sequence = index.sequence
        self._staged_documents = index.counts.documents
        self._open = WriteBatch()
        self._unsynced: list[WriteBatch] = []
        self._found: dict[bytes, Record | None] = {}
        """Records that the open batch has read from disk."""
        self._unit_sums = sums or unkeyed_sums()
        self._sums = DocumentSums(self._unit_sums)
        self._updater = RecordUpdater(self.state, self._sums)
        self._clocks = ClockCache(kv)

    def client_of(self, incarnation: int) -> int:
        """The Yjs client id of this node's own writes to an incarnation.

        Each incarnation has its own id, so that the state vector of a Yjs client shows which incarnation it holds.
        """
        if incarnation == 1:
            return self.client
        digest = sha256(f"{self.client} {incarnation}".encode()).digest()
        return int.from_bytes(digest[:4], "big") or 1

    # --- reads, which include uncommitted changes

    def record(self, key: bytes) -> Record | None:
        """The record of a document or tombstone, with the changes of all batches."""
        for batch in (self._open, *reversed(self._unsynced)):
            found = batch.records.get(key)
            if found is not None:
                return found
        if key not in self._found:
            self._found[key] = self.record_on_disk(key)
        return self._found[key]

    def record_on_disk(self, key: bytes) -> Record | None:
        """The record without the changes of open batches."""
        data = self.kv.get(RECORD + key) or self.kv.get(TOMBSTONE + key)
        return None if data is None else self.decoded(key, data)

    def decoded(self, key: bytes, data: bytes) -> Record:
        """A record from its bytes on disk. Raises ValueError."""
        return decode_record(data, partial(self._clocks.load, key))

    def live(self, key: bytes) -> Record | None:
        """The record of a document that exists, with the changes of all batches."""
        record = self.record(key)
        return None if record is None or record.is_deleted else record

    def next_incarnation(self, key: bytes) -> int:
        """The incarnation of the next write: the live one, or a new one. Raises NumbersExhausted."""
        record = self.record(key)
        incarnation = 1 if record is None else record.incarnation + record.is_deleted
        if incarnation >= MAX_INCARNATION:
            raise NumbersExhausted(NAME_EXHAUSTED)
        return incarnation

    def state(self, key: bytes, record: Record) -> tuple[bytes, ...]:
        """The updates, in causal order, that make up the record's state.

        Raises EntriesDiffer if the separate snapshot is missing, or is that of another record.
        """
        return self.state_reader(key, record)()

    def state_reader(self, key: bytes, record: Record) -> Callable[[], tuple[bytes, ...]]:
        """Reads the record's state from the disk now, and returns what unpacks it later, also in a thread."""
        return state_reader(self.kv, key, record)

    def value(self, key: bytes, record: Record) -> bytes:
        """The document's JSON. If it is outdated, the last one that was computed.

        Raises EntriesDiffer if a separate value that is not outdated is missing.
        """
        if record.value is not None:
            return record.value
        if not record.flags & DocumentFlag.VALUE_SEPARATE:
            return b"{}"
        value = self.kv.get(VALUE + key)
        if value is None and not record.is_value_outdated:
            raise EntriesDiffer(f"the value of {display_name(key)} is missing")
        return value or b"{}"

    def merged(self, key: bytes, record: Record) -> Update:
        """The record's state as one update."""
        return merge_updates(self.state(key, record), STATE_LIMITS)

    @property
    def staged_sequence(self) -> int:
        """The sequence of the newest change in any batch."""
        return self._staged_sequence

    @property
    def staged_documents(self) -> int:
        """The number of documents at that sequence."""
        return self._staged_documents

    # --- joining

    def join(
        self,
        change: DocumentUpdate,
        origin: str,
        known: Update | JoinResult | None = None,
        is_accepted: bool = False,
        gate: EndingGate | None = None,
    ) -> JoinResult:
        """Stages what is new in a change from a peer or a Yjs client. `gate`: may keep it from ending a document.

        `known` is what `decode_change` returned for it, if the caller has decoded it in a thread. `is_accepted`: an
        operator has accepted that its incarnation leaps.
        """
        refusal = check_change(change)
        if refusal is not None:
            return refusal
        key = document_key(change.collection, change.id)
        record, incarnation = self.record(key), change.incarnation
        refusal = None if is_accepted else check_leap(record, incarnation)
        if refusal is not None:
            return refusal
        ended = ended_clocks(change)
        if isinstance(ended, JoinResult):
            return ended
        if change.is_deleted:
            return self._join_tombstone(key, record, incarnation, origin, ended, gate)
        decoded = read_update(change, record, origin, known)
        if isinstance(decoded, JoinResult):
            return decoded
        if self._contradicts(key, record, incarnation, decoded):
            return WRITES_AGAIN
        update = new_part(decoded, incarnation, record)
        theirs = decoded if change.is_whole else None
        if record is not None and record.incarnation == incarnation:
            if origin.startswith(CLIENT) and is_again(decoded, record):
                theirs = with_history(self.merged(key, record), decoded)
            if theirs is not None:
                resolved = self._compare(key, record, theirs, update, origin, gate)
                if resolved is not None:
                    return resolved
        if isinstance(update, JoinResult):
            return update
        refusal = self._check_own_ids(key, record, incarnation, update, origin)
        if refusal is not None:
            return refusal
        encoded = encode_update(update)
        refusal = check_room(record, incarnation, update, len(encoded), origin)
        if refusal is not None:
            return refusal
        after = self._after(key, record, incarnation, update, encoded, None, ended)
        refusal = self._pass(gate, key, record, update, after)
        return self._take(refusal, key, record, after, encoded, origin)

    def _take(
        self,
        refusal: JoinResult | None,
        key: bytes,
        record: Record | None,
        after: Record,
        encoded: bytes,
        origin: str,
    ) -> JoinResult:
        """Stages the record after a change, or drops it if the change is refused."""
        if refusal is not None:
            self._updater.drop(key)
            return refusal
        return JoinResult(Outcome.APPLIED, "", self._stage(key, record, after, encoded, origin))

    def _pass(
        self,
        gate: EndingGate | None,
        key: bytes,
        record: Record | None,
        update: Update,
        after: Record,
    ) -> JoinResult | None:
        """A refusal if a change may not end what lives here. Tells the gate what begins."""
        is_new = record is None or record.incarnation != after.incarnation
        if not is_new or (
            record is not None and not record.is_deleted and holds_all(update, record)
        ):
            return check_expiry(gate, key, record, after)
        refusal = check_end(gate, key, record)
        if refusal is None and gate is not None:
            gate.began(key, after.incarnation)
        return refusal

    def _compare(
        self,
        key: bytes,
        record: Record,
        theirs: Update,
        update: Update | JoinResult,
        origin: str,
        gate: EndingGate | None,
    ) -> JoinResult | None:
        """Joins a whole document that contradicts the one here, or knows places that are lost here; None: it does not.

        `update` is what is new in it by its clocks.
        """
        if isinstance(update, JoinResult):
            if update.outcome is not Outcome.KNOWN:
                return update
        elif (
            taken := self._check_own_ids(key, record, record.incarnation, update, "")
        ) is not None:
            return taken
        mine = self.merged(key, record)
        found = join_whole(mine, theirs, self._unit_sums)
        if isinstance(found, str):
            return JoinResult(Outcome.REFUSED, found)
        encoded = encode_update(found.joined)
        is_same = encoded == encode_update(compact(mine))
        if not found.differences:
            if is_same or isinstance(update, Update):
                return None
            return self._replace(key, record, found.joined, encoded, EMPTY_STATE, origin, gate)
        if self.client_of(record.incarnation) in (d.client for d in found.differences):
            self.is_client_id_taken = True
        value = b"" if record.is_value_outdated else self.value(key, record)
        conflict = conflict_of(key, record.incarnation, found, mine, theirs, self._unit_sums, value)
        if is_same:
            return JoinResult(Outcome.KNOWN, conflict=conflict)
        joined = self._replace(key, record, found.joined, encoded, conflict.pushed, CONFLICT, gate)
        return joined if joined.record is None else replace(joined, conflict=conflict)

    def _replace(
        self,
        key: bytes,
        record: Record,
        state: Update,
        encoded: bytes,
        pushed: bytes,
        origin: str,
        gate: EndingGate | None,
    ) -> JoinResult:
        """Stages another state of a record, and `pushed` as the update of the change."""
        empty = tombstone(record.incarnation - 1, 0, record.ended_vector)
        after = self._after(key, empty, record.incarnation, state, encoded, None)
        refusal = check_expiry(gate, key, record, after)
        return self._take(refusal, key, record, after, pushed, origin)

    def _join_tombstone(
        self,
        key: bytes,
        record: Record | None,
        incarnation: int,
        origin: str,
        ended: EndedVector,
        gate: EndingGate | None,
    ) -> JoinResult:
        if record is None or is_end_of(record, incarnation):
            refusal = check_end(gate, key, record)
            if refusal is not None:
                return refusal
            return JoinResult(
                Outcome.APPLIED, "", self._end(key, record, incarnation, origin, ended)
            )
        if any(clock > record.ended_vector.get(client, 0) for client, clock in ended.items()):
            joined = with_ended_of_peer(record.ended_vector, ended)
            self._open.put(key, record, record.with_ended(joined))
        is_known = incarnation == record.incarnation
        return JoinResult(Outcome.KNOWN if is_known else Outcome.STALE)

    def _contradicts(
        self, key: bytes, record: Record | None, incarnation: int, update: Update
    ) -> bool:
        """Whether an update has other structs than this node under clocks of its own writes."""
        write = self.own_writes.find(key, incarnation)
        theirs = update.structs.get(write.client) if write is not None else None
        if write is None or theirs is None or record is None or record.incarnation != incarnation:
            return False
        if key in self.own_writes.pending:
            return theirs[-1].end > write.clock
        if theirs[0].clock >= record.state_vector.get(write.client, 0):
            return False
        mine = self.merged(key, record).structs[write.client]
        at = first_difference(write.client, mine, theirs, write.clock)
        self.own_writes.compared(key, at)
        if at is not None:
            self.is_client_id_taken = self.is_contradicted = True
        return at is not None

    def _check_own_ids(
        self, key: bytes, record: Record | None, incarnation: int, update: Update, origin: str
    ) -> JoinResult | None:
        """Notices structs that another writer wrote under an id of this node. Returns why nothing changes, or None."""
        clients = update.structs
        own = self.own_writes
        write = own.find(key, incarnation)
        if write is not None and write.client in clients:
            self.is_client_id_taken = self.is_contradicted = True
            return WRITES_AGAIN
        if origin.startswith(CLIENT) and own.is_withdrawn(key, clients):
            return JoinResult(
                Outcome.REFUSED, "the document was written again under a new id: reload it"
            )
        client = self.client_of(incarnation)
        if client in clients:
            self.id_taken(record, incarnation, client)
        return None

    def id_taken(self, record: Record | None, incarnation: int, client: int) -> None:
        """Notes that somebody has unknown structs of an own id in the document of a record.

        A document without structs of this node may also be the copy of another one.
        """
        self.is_client_id_taken = True
        if record is not None and record.incarnation == incarnation:
            self.is_contradicted |= client in record.state_vector

    # --- own writes

    def renew_client(self, client: int) -> None:
        """Writes under another id from now on. If own writes were contradicted, all of them have to be withdrawn."""
        if self.is_contradicted:
            self.own_writes.withdraw_all()
        self.client = client
        self.is_client_id_taken = self.is_contradicted = False

    def remaining(self, key: bytes, record: Record, write: OwnWrite) -> Record | None:
        """The record without own structs from a clock on; None if structs of others depend on them."""
        update = without_own_writes(self.merged(key, record), write)
        if update is None:
            return None
        ended = tombstone(record.incarnation - 1, 0, record.ended_vector)
        encoded = encode_update(update)
        return self._updater.apply(
            record.sequence, key, ended, record.incarnation, update, encoded, None
        )

    def replace_state(self, key: bytes, previous: Record, record: Record) -> None:
        """Stages a record with another state. The caller stages a change of it in the same batch."""
        self._updater.drop(key)
        self._open.put(key, previous, record)

    def announce(self, key: bytes, update: bytes = EMPTY_STATE, origin: str = "") -> None:
        """Stages a change without new content, for a record with another state or with a conflict."""
        record = self.record(key)
        assert record is not None
        record = replace(record, sequence=self._staged_sequence + 1)
        self._stage(key, record, record, update, origin)

    def write(
        self, key: bytes, update: Update, value: bytes, encoded: bytes | None = None
    ) -> Record:
        """Stages a change of this node. Creates the document if it does not exist.

        `update` must hold only what is new, under this node's own client id or a derived one (`json/authors.py`), and
        `value` must be the document's JSON after it. `encoded` is the update encoded, if the caller has it. Raises
        NumbersExhausted.
        """
        encoded = encode_update(update) if encoded is None else encoded
        record = self.record(key)
        incarnation = self.next_incarnation(key)
        own = self.client_of(incarnation)
        for structs in update.structs.values():
            if structs[-1].end > PEER_LIMITS.max_clock:
                raise NumbersExhausted(CLOCKS_EXHAUSTED)
        for client, structs in update.structs.items():
            if client == own:
                sequence = self._staged_sequence + 1
                self.own_writes.note(key, own, incarnation, structs[0].clock, sequence)
            else:
                self.own_writes.note_derived(key, incarnation, client)
        return self._apply(key, record, incarnation, update, encoded, value)

    def undelete(self, key: bytes, update: Update, encoded: bytes, value: bytes | None) -> Record:
        """Stages a new incarnation of a document that does not live, with a whole state that was ended.

        `encoded` is `update` as bytes, and `value` its JSON; None: it is computed.
        """
        record, incarnation = self.record(key), self.next_incarnation(key)
        assert record is None or record.is_deleted
        own = self.client_of(incarnation)
        if own in update.structs:  # of a change that goes with it
            self.own_writes.note(key, own, incarnation, 0, self._staged_sequence + 1)
        return self._apply(key, record, incarnation, update, encoded, value)

    def check_clocks(self, record: Record, update: Update) -> None:
        """Checks that this node can make one more struct after an update of its own. Raises NumbersExhausted."""
        own = self.client_of(record.incarnation)
        structs = update.structs.get(own)
        reached = structs[-1].end if structs else record.state_vector.get(own, 0)
        if reached >= PEER_LIMITS.max_clock:
            raise NumbersExhausted(CLOCKS_EXHAUSTED)

    def delete(self, key: bytes) -> Record:
        """Stages the end of the live incarnation. Returns the tombstone."""
        record = self.record(key)
        assert record is not None
        assert not record.is_deleted
        return self._end(key, record, record.incarnation, "")

    def set_value(self, key: bytes, value: bytes) -> None:
        """Stores the value that the engine computed for an outdated record. The document does not change."""
        record = self.record(key)
        assert record is not None
        fresh = replace(record, value=value, flags=record.flags & ~DocumentFlag.VALUE_OUTDATED)
        self._open.put(key, record, fresh)
        self._open.set_value(key, value)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Adds an entry that belongs to no record to the open batch; None deletes the key."""
        self._open.extra[key] = value

    def entry(self, key: bytes) -> bytes | None:
        """An entry that belongs to no record, with the changes of all batches."""
        for batch in (self._open, *reversed(self._unsynced)):
            if key in batch.extra:
                return batch.extra[key]
        return self.kv.get(key)

    def is_full(self, record: Record) -> bool:
        """Whether the document's history leaves no room for another change."""
        return state_bytes(record) > MAX_STATE_BYTES - MAX_STATE_BYTES // 4

    def is_compaction_due(self, record: Record) -> bool:
        """Whether the delta log is long enough to be compacted."""
        return is_log_long(record.delta_log, record.snapshot_bytes)

    def compact(self, key: bytes) -> None:
        """Merges the delta log into the snapshot. Readers see no change."""
        record = self.record(key)
        if record is not None and record.delta_log:
            self.set_snapshot(key, record, compacted(self.state(key, record)))

    def set_snapshot(self, key: bytes, compacted_from: Record, snapshot: bytes) -> None:
        """Stores a snapshot that covers the whole state of `compacted_from`. Later updates stay in the delta log.

        Does nothing if the record has another snapshot or incarnation by now.
        """
        record = self.record(key)
        covered = compacted_from.delta_log
        if (
            record is None
            or record.incarnation != compacted_from.incarnation
            or record.snapshot_bytes != compacted_from.snapshot_bytes
            or record.delta_log[: len(covered)] != covered
        ):
            return
        rest = record.delta_log[len(covered) :]
        self._open.put(
            key,
            record,
            replace(record, snapshot=snapshot, snapshot_bytes=len(snapshot), delta_log=rest),
        )

    def sum_ahead(self, update: Update) -> None:
        """Computes the sum of a whole new document, which is joined next. May run in a thread."""
        self._sums.sum_ahead(update)

    def content_reader(self, key: bytes, record: Record) -> Callable[[], LiveContent] | None:
        """What reads the live content of a document, also in a thread; None if it is cached."""
        if self._sums.has_content(key, record.sequence):
            return None
        read = self.state_reader(key, record)
        return lambda: LiveContent.of(merge_updates(read(), STATE_LIMITS))

    def keep_content(self, key: bytes, record: Record, content: LiveContent) -> None:
        """Caches the live content of a record, so that its next change finds what it deletes."""
        self._sums.keep(key, record.sequence, content)

    def maps(self, key: bytes, record: Record) -> root_maps.RootMaps | None:
        """The document's root maps, if it is small and no engine is needed to read it."""
        return self._updater.maps(key, record)

    # --- staging

    def _apply(
        self,
        key: bytes,
        record: Record | None,
        incarnation: int,
        update: Update,
        encoded: bytes,
        value: bytes | None,
    ) -> Record:
        """Stages a change of this node."""
        after = self._after(key, record, incarnation, update, encoded, value)
        return self._stage(key, record, after, encoded, "")

    def _after(
        self,
        key: bytes,
        record: Record | None,
        incarnation: int,
        update: Update,
        encoded: bytes,
        value: bytes | None,
        ended: EndedVector = EMPTY_VECTOR,
    ) -> Record:
        """The record after a change, which the caller stages, or drops with what the updater has cached of it.

        `ended` is what a peer knows of earlier incarnations. It is needed only where a new one begins.
        """
        if ended and (record is None or record.incarnation < incarnation):
            record = tombstone(incarnation - 1, 0, ended_vector_after(record, ended))
        sequence = self._staged_sequence + 1
        return self._updater.apply(sequence, key, record, incarnation, update, encoded, value)

    def _end(
        self,
        key: bytes,
        record: Record | None,
        incarnation: int,
        origin: str,
        more: EndedVector = EMPTY_VECTOR,
    ) -> Record:
        ended_vector = ended_vector_after(record, more)
        end = tombstone(incarnation, self._staged_sequence + 1, ended_vector)
        return self._stage(key, record, end, encode_state_vector(ended_vector), origin)

    def _stage(
        self, key: bytes, previous: Record | None, record: Record, update: bytes, origin: str
    ) -> Record:
        self._staged_sequence += 1
        was_live = previous is not None and not previous.is_deleted
        if (
            previous is not None
            and (record.is_deleted or previous.incarnation != record.incarnation)
            and self.keeper is not None
        ):
            record = _kept(self.keeper, key, previous, record, origin)
        self._staged_documents += (not record.is_deleted) - was_live
        self._open.stage(key, previous, record, update, origin)
        return record

    # --- batches

    @property
    def open_batch(self) -> WriteBatch:
        return self._open

    @property
    def is_settled(self) -> bool:
        """Whether no batch is in flight: what is on disk is what the tree and the counts say."""
        return not self._unsynced

    def take_batch(self) -> WriteBatch:
        """Closes the open batch. The caller writes it, then calls `committed` or `forget`."""
        self._found.clear()
        if self.keeper is not None:
            self.keeper.closing()
        batch, self._open = self._open, WriteBatch()
        self._unsynced.append(batch)
        return batch

    def committed(self, batch: WriteBatch) -> None:
        """Shows the changes of the oldest taken batch to readers, after the caller has synced it."""
        assert self._unsynced[0] is batch
        self._unsynced.pop(0)
        for tree_change in batch.tree_changes():
            if tree_change.difference:
                self.tree.change(bucket_of(tree_change.tree_key), tree_change.difference)
            if tree_change.documents or tree_change.tombstones:
                self.counts.add(
                    tree_change.collection,
                    tree_change.documents,
                    tree_change.tombstones,
                )
        if batch.extra:
            self.own_writes.committed(batch.extra)
        if batch.changes:
            self.sequence = batch.changes[-1].sequence

    def forget(self) -> None:
        """Drops every batch that is not on disk."""
        self._unsynced.clear()
        self._found.clear()
        self._open = WriteBatch()
        self._staged_sequence = self.sequence
        self._staged_documents = self.counts.documents
        self._updater.forget()

    def trimmed(self, oldest: int) -> None:
        """Notes that the caller has deleted the feed before `oldest`."""
        self.oldest_sequence = max(self.oldest_sequence, oldest)

    # --- checkpoints

    def checkpoint(self) -> Checkpoint | None:
        """The index at the newest change on disk; None if too many collections have documents."""
        if len(self.counts) > MAX_COLLECTIONS:
            return None
        return Checkpoint(self.sequence, self.tree.leaves(), self.counts.copy())

    def checkpointed(self, sequence: int) -> None:
        """Notes that the caller has written the checkpoint of this sequence; 0: that it has deleted it."""
        self.checkpoint_sequence = sequence
        self.checkpoint_fault = ""


def _kept(keeper: EndedKeeper, key: bytes, previous: Record, record: Record, origin: str) -> Record:
    """The record to stage, after the keeper was told what it ends."""
    if previous.is_deleted:
        if previous.snapshot is None:
            keeper.begun(key, previous)
    elif record.is_deleted:
        return keeper.ended(key, previous, record, origin)
    else:
        keeper.replaced(key, previous, record.sequence, origin)
    return record
