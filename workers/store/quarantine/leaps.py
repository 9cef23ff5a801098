"""Changes whose incarnation leaps: they are refused and kept, at most one for each document, until an operator decides.

A dropped change leaves a mark, so that peers that still have it do not bring it back. Other changes of the document do
not come under that mark: a smaller leap may be the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

import msgpack

from peatnode.codec.records import STORED, record_reader, unpack
from peatnode.documents.limits import MAX_INCARNATION, STATE_LIMITS
from peatnode.documents.names import display_name, document_key, is_document_key, names_of
from peatnode.documents.replica.join import JoinResult, decode_change, ended_clocks
from peatnode.documents.replica.keyspace import LEAP, LEAP_UPDATE, META, after, number
from peatnode.documents.replica.replica import Replica
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.documents.yjs.update import Update, encode_update
from peatnode.errors import MalformedFrame, MalformedUpdate, StorageFailed
from peatnode.ipc.messages import Failure
from peatnode.model.documents import DocumentUpdate
from peatnode.worker.shell import WorkerShell
from workers.store.engine.refusal import RequestRefused

MAX_KEPT = 1000
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Bounds on what waits for an operator. The oldest goes first."""
MAX_MERGED_BYTES = 16 * 1024
"""A kept change grows by later ones of its incarnation up to this size: each of them reads all of it, 1.5 ms then. What
is missing comes from the peers once it is accepted."""
MAX_DROPPED = 1000
"""Marks of dropped changes. The oldest goes first."""
NAMED = 3
"""Documents that the problem names."""

DROPPED = META + b"leap_dropped\0"
"""Begins the keys of the marks: document key, zero byte, incarnation (8 bytes) → Unix time."""


@dataclass(frozen=True, slots=True)
class KeptLeap:
    """What is known of a change that leaps."""

    key: bytes
    at: float
    """Unix seconds."""
    here: int
    """The incarnation of the document here; 0: none."""
    incarnation: int
    is_deleted: bool
    peer: str
    """Instance of the peer that sent it."""
    size: int
    """Bytes of its update."""

    @property
    def id(self) -> bytes:
        """16 bytes, the same on every node that keeps this change."""
        said = b"leap\0%b\0%d %d" % (self.key, self.incarnation, self.is_deleted)
        return sha256(said).digest()[:16]


@dataclass(frozen=True, slots=True)
class _KeptChange:
    """The change itself, as it is on disk."""

    expires_at: float
    update: bytes
    ended: bytes


_read_leap = record_reader(KeptLeap, STORED)
_read_change = record_reader(_KeptChange, STORED)


class LeapObserver(Protocol):
    """Is told which leaps are kept."""

    def found(self, leap: KeptLeap) -> None: ...
    def damaged(self, count: int) -> None:
        """So many entries could not be read: they are left out, and removed by the next decision or leap."""

    def kept(self, names: Sequence[str], lost: int) -> None:
        """The documents of all that waits, the newest first, and how many made room for newer ones."""


class Leaps:
    """Keeps changes that leap, by document: the one of the highest incarnation. There are few, so their heads are in
    memory."""

    def __init__(self, replica: Replica, now: Callable[[], float], observer: LeapObserver) -> None:
        """Reads what is kept. Raises StorageFailed."""
        self._replica = replica
        self._now = now
        self._observer = observer
        self.found = 0
        """Documents of which a leap was found, since the start of the process."""
        self.lost = 0
        """Leaps that made room for newer ones since then."""
        self.decisions = 0
        """Changes that an operator has accepted or dropped since then."""
        self._waiting: dict[bytes, KeptLeap] = {}
        self._dropped: dict[bytes, None] = {}
        """Keys of the marks on disk, the oldest first."""
        self._damaged: list[bytes] = []
        """Keys on disk."""
        self._is_told = True
        self._read()
        if self._damaged:
            observer.damaged(len(self._damaged))
        if self._waiting:
            self._tell()

    def __len__(self) -> int:
        return len(self._waiting)

    def all(self) -> tuple[KeptLeap, ...]:
        """What waits for an operator, the newest first."""
        return tuple(reversed(self._waiting.values()))

    def find(self, number: bytes) -> KeptLeap | None:
        return next((leap for leap in self._waiting.values() if leap.id == number), None)

    def keep(
        self, change: DocumentUpdate, peer: str, decoded: Update | JoinResult | None
    ) -> JoinResult | None:
        """Keeps a change in the open batch. Returns why it is malformed, or None. `decoded`: see `Replica.join`."""
        key = document_key(change.collection, change.id)
        kept = self._waiting.get(key)
        if _mark(key, change.incarnation) in self._dropped:
            return None
        if kept is not None and (
            change.incarnation < kept.incarnation
            or (change.incarnation == kept.incarnation and kept.is_deleted)
        ):
            return None
        if change.is_deleted:
            update: Update | StateVector | JoinResult = ended_clocks(change)
        else:
            update = decode_change(change, peer) if decoded is None else decoded
        if isinstance(update, JoinResult):
            return update
        if (
            kept is not None
            and kept.incarnation == change.incarnation
            and isinstance(update, Update)
        ):
            grown = self._grown(kept, update)
            if grown is None:
                return None
            change = replace(change, update=grown)
        self._put(key, change, peer, kept)
        return None

    def change_of(self, leap: KeptLeap) -> DocumentUpdate:
        """The kept change. Raises RequestRefused if it was lost with a part of the disk."""
        kept = self._change(leap.key)
        if kept is None:
            raise RequestRefused(Failure.NOT_FOUND, "the change was lost: drop its entry", "id")
        collection, document = names_of(leap.key)
        return DocumentUpdate(
            collection,
            document,
            leap.incarnation,
            leap.is_deleted,
            kept.expires_at,
            kept.update,
            kept.ended,
        )

    def accepted(self, leap: KeptLeap) -> None:
        """Removes a change, which was carried out, in the open batch."""
        self.decisions += 1
        self.joined(leap.key, leap.incarnation)

    def drop(self, leap: KeptLeap) -> None:
        """Removes a change in the open batch, and leaves a mark."""
        self.decisions += 1
        self._remove(leap.key)
        mark = _mark(leap.key, leap.incarnation)
        self._dropped[mark] = None
        self._replica.put(mark, msgpack.packb(self._now()))
        while len(self._dropped) > MAX_DROPPED:
            oldest = next(iter(self._dropped))
            del self._dropped[oldest]
            self._replica.put(oldest, None)

    def joined(self, key: bytes, incarnation: int) -> None:
        """Removes, in the open batch, what is kept of incarnations that a document has reached."""
        kept = self._waiting.get(key)
        if kept is not None and kept.incarnation <= incarnation:
            self._remove(key)

    def committed(self) -> None:
        """Tells the observer what has changed, now that it is on disk."""
        if not self._is_told:
            self._tell()

    def forget(self) -> None:
        """Drops what is not on disk. While that cannot be read, it stays in the list, and is dropped another time."""
        if not self._is_told:
            with suppress(StorageFailed):
                self._read()
                self._is_told = True

    def _read(self) -> None:
        kv = self._replica.kv
        found: list[KeptLeap] = []
        marks: list[tuple[float, bytes]] = []
        self._damaged = []
        for entry, data in kv.scan(LEAP, after(LEAP)):
            try:
                found.append(_decode(entry[len(LEAP) :], data))
            except MalformedFrame:
                self._damaged += (entry, LEAP_UPDATE + entry[len(LEAP) :])
        for mark, data in kv.scan(DROPPED, after(DROPPED)):
            try:
                marks.append((_read_time(unpack(data, STORED)), mark))
            except MalformedFrame:
                self._damaged.append(mark)
        found.sort(key=lambda leap: leap.at)
        self._waiting = {leap.key: leap for leap in found}
        self._dropped = dict.fromkeys(mark for _, mark in sorted(marks))

    def _grown(self, kept: KeptLeap, update: Update) -> bytes | None:
        """The kept update with another one of its incarnation; None: it adds nothing, or does not fit."""
        if kept.size > MAX_MERGED_BYTES:
            return None
        change = self._change(kept.key)
        if change is None:
            return None
        before = change.update
        try:
            merged = merge_updates((before,), STATE_LIMITS)
        except MalformedUpdate:
            return None
        vector = {client: structs[-1].end for client, structs in merged.structs.items()}
        if missing_for(update, vector) is not None:
            return None
        grown = encode_update(merge_updates((merged, update), STATE_LIMITS))
        return grown if grown != before and len(grown) <= MAX_MERGED_BYTES else None

    def _change(self, key: bytes) -> _KeptChange | None:
        """The kept change as the open batch, or the disk, has it; None: it was lost or damaged."""
        data = self._replica.entry(LEAP_UPDATE + key)
        if data is None:
            return None
        try:
            found: _KeptChange = _read_change(unpack(data, STORED))
        except MalformedFrame:
            return None
        return found

    def _put(self, key: bytes, change: DocumentUpdate, peer: str, kept: KeptLeap | None) -> None:
        self._clear_damaged()
        record = self._replica.record(key)
        size = len(change.update) + len(change.ended)
        here = 0 if record is None else record.incarnation
        leap = KeptLeap(key, self._now(), here, change.incarnation, change.is_deleted, peer, size)
        self._waiting.pop(key, None)
        self._waiting[key] = leap
        self._replica.put(LEAP + key, _encode(leap))
        body = (change.expires_at, change.update, change.ended)
        self._replica.put(LEAP_UPDATE + key, msgpack.packb(body))
        self._is_told = False
        if kept is None:
            self.found += 1
            self._observer.found(leap)
        self._make_room()

    def _make_room(self) -> None:
        total = sum(leap.size for leap in self._waiting.values())
        while len(self._waiting) > MAX_KEPT or total > MAX_KEPT_BYTES:
            oldest = next(iter(self._waiting.values()))
            total -= oldest.size
            self._remove(oldest.key)
            self.lost += 1

    def _remove(self, key: bytes) -> None:
        self._clear_damaged()
        del self._waiting[key]
        self._replica.put(LEAP + key, None)
        self._replica.put(LEAP_UPDATE + key, None)
        self._is_told = False

    def _clear_damaged(self) -> None:
        damaged, self._damaged = self._damaged, []
        for entry in damaged:
            if entry not in self._replica.open_batch.extra:
                self._replica.put(entry, None)

    def _tell(self) -> None:
        self._is_told = True
        self._observer.kept([display_name(leap.key) for leap in self.all()], self.lost)


class LeapReports:
    """Tells the operator of leaps: in the log, and as a problem of the node while any waits."""

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell

    def found(self, leap: KeptLeap) -> None:
        self._shell.quota.warning(
            "A change leaps far ahead of its document: it is quarantined",
            (leap.peer, ""),
            doc=display_name(leap.key),
            peer=leap.peer,
            incarnation=leap.incarnation,
            here=leap.here,
            deleted=leap.is_deleted,
        )

    def damaged(self, count: int) -> None:
        self._shell.log.error("Entries of the quarantine are damaged and are dropped", count=count)

    def kept(self, names: Sequence[str], lost: int) -> None:
        if not names:
            self._shell.clear_problem("quarantine")
            return
        others = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
        gone = f" {lost} older changes were dropped for room." if lost else ""
        self._shell.raise_problem(
            "quarantine",
            f"a peer sent changes of {', '.join(names[:NAMED])}{others} whose incarnation is far above the one here: a "
            f"faulty or hostile node uses up the numbers of a name. They are refused and kept.{gone}",
            "See who sent them (`peatnode quarantine`, GET /api/v1/quarantine). Block that node, and drop them "
            "(`peatnode quarantine drop ID`). Accept one only if you know why it leaps, and then on every node.",
        )


def _encode(leap: KeptLeap) -> bytes:
    packed: bytes = msgpack.packb(
        (
            leap.at,
            leap.here,
            leap.incarnation,
            leap.is_deleted,
            leap.peer,
            leap.size,
        )
    )
    return packed


def _decode(key: bytes, data: bytes) -> KeptLeap:
    """Raises MalformedFrame."""
    fields = unpack(data, STORED)
    if type(fields) is not tuple or not is_document_key(key):
        raise MalformedFrame("it is no leap")
    leap: KeptLeap = _read_leap((key, *fields))
    if not 0 < leap.incarnation < MAX_INCARNATION:
        raise MalformedFrame("it has no incarnation")
    return leap


def _mark(key: bytes, incarnation: int) -> bytes:
    """The key of the mark of a dropped change."""
    return DROPPED + key + b"\0" + number(incarnation)


def _read_time(value: object) -> float:
    """Raises MalformedFrame."""
    if not isinstance(value, float):
        raise MalformedFrame("it is no time")
    return value
