"""Documents of which two states contradicted each other: what lost is kept for the operator, until it is dismissed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import msgpack

from peatnode.codec.records import STORED, record_reader, unpack
from peatnode.documents.names import display_name, is_document_key, names_of
from peatnode.documents.replica.conflicts import DocumentConflict, LostState
from peatnode.documents.replica.keyspace import META, after
from peatnode.documents.replica.replica import Replica
from peatnode.errors import MalformedFrame, StorageFailed
from peatnode.ipc.messages import ConflictEntry, ConflictReply, ConflictsReply, Failure
from peatnode.worker.shell import WorkerShell
from workers.store.engine.refusal import RequestRefused

MAX_KEPT = 1000
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Bounds on what is kept. The oldest goes first."""
NAMED = 3
"""Documents that the problem names."""

HEAD = META + b"conflict\0"
"""Begins the keys of what is known of each lost state; all of it is in memory."""
STATE = META + b"conflict_state\0"
"""Begins the keys of the lost states themselves."""


@dataclass(frozen=True, slots=True)
class KeptConflict:
    """What is known of a lost state."""

    id: bytes
    at: float
    """Unix seconds."""
    key: bytes
    incarnation: int
    clients: tuple[int, ...]
    """Ids of the Yjs clients under whose clocks the states differ."""
    peer: str
    """Instance of the peer that sent the other state."""
    was_mine: bool
    """Whether this node had the lost state, and not the peer."""
    size: int
    """Bytes of the state and its value."""


@dataclass(frozen=True, slots=True)
class _KeptState:
    """A lost state as it is on disk."""

    update: bytes
    value: bytes


_read = record_reader(KeptConflict, STORED)
_read_state = record_reader(_KeptState, STORED)


class ConflictObserver(Protocol):
    """Is told which conflicts are kept."""

    def found(self, name: str, peer: str, clients: Sequence[int], was_mine: bool) -> None: ...
    def kept(self, names: Sequence[str], dropped: int) -> None:
        """The documents of all that is kept, the newest first, and how many states were dropped for room."""


class Conflicts:
    """Keeps lost states in the batches of the changes that they come from."""

    def __init__(
        self, replica: Replica, now: Callable[[], float], observer: ConflictObserver
    ) -> None:
        """Reads what is kept. Raises StorageFailed."""
        self._replica = replica
        self._now = now
        self._observer = observer
        self.found = 0
        """Lost states since the start of the process."""
        self.dropped = 0
        """Those that made room for newer ones since then."""
        self._kept: dict[bytes, KeptConflict] = {}
        self._is_told = True
        self._read()
        if self._kept:
            self._tell()

    def __len__(self) -> int:
        return len(self._kept)

    def list(self) -> ConflictsReply:
        """What is kept, the newest first."""
        return ConflictsReply(tuple(map(_entry, reversed(self._kept.values()))), self.dropped)

    def read(self, number: bytes) -> ConflictReply:
        """A lost state. Raises RequestRefused."""
        kept, data = self._kept.get(number), self._replica.kv.get(STATE + number)
        if kept is None or data is None:
            raise RequestRefused(Failure.NOT_FOUND, "there is no such conflict", "id")
        try:
            lost: _KeptState = _read_state(unpack(data, STORED))
        except MalformedFrame:
            damaged = "what this conflict kept is damaged: dismiss it"
            raise RequestRefused(Failure.NOT_FOUND, damaged, "id") from None
        return ConflictReply(_entry(kept), lost.update, lost.value)

    def add(self, conflict: DocumentConflict, peer: str) -> bool:
        """Adds the lost states of a conflict to the open batch. Returns False if all of them are kept already."""
        new = [lost for lost in conflict.lost if lost.id not in self._kept]
        for lost in new:
            self._add(conflict, lost, peer)
        self._make_room()
        return bool(new)

    def dismiss(self, number: bytes) -> bool:
        """Removes a lost state in the open batch. Returns False if there is none."""
        if number not in self._kept:
            return False
        self._remove(number)
        return True

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
        found = []
        for entry, data in self._replica.kv.scan(HEAD, after(HEAD)):
            kept = _decode(entry[len(HEAD) :], data)
            if kept is not None:
                found.append(kept)
        self._kept = {kept.id: kept for kept in sorted(found, key=lambda kept: kept.at)}

    def _add(self, conflict: DocumentConflict, lost: LostState, peer: str) -> None:
        size = len(lost.update) + len(lost.value)
        kept = KeptConflict(
            lost.id,
            self._now(),
            conflict.key,
            conflict.incarnation,
            conflict.clients,
            peer,
            lost.is_mine,
            size,
        )
        self._kept[lost.id] = kept
        self._replica.put(HEAD + lost.id, _encode(kept))
        self._replica.put(STATE + lost.id, msgpack.packb((lost.update, lost.value)))
        self.found += 1
        self._is_told = False
        self._observer.found(display_name(conflict.key), peer, conflict.clients, lost.is_mine)

    def _make_room(self) -> None:
        total = sum(kept.size for kept in self._kept.values())
        while len(self._kept) > MAX_KEPT or total > MAX_KEPT_BYTES:
            oldest = next(iter(self._kept.values()))
            total -= oldest.size
            self._remove(oldest.id)
            self.dropped += 1

    def _remove(self, number: bytes) -> None:
        del self._kept[number]
        self._replica.put(HEAD + number, None)
        self._replica.put(STATE + number, None)
        self._is_told = False

    def _tell(self) -> None:
        self._is_told = True
        names = dict.fromkeys(display_name(kept.key) for kept in reversed(self._kept.values()))
        self._observer.kept(list(names), self.dropped)


class ConflictReports:
    """Tells the operator of conflicts: in the log, and as a problem of the node while any is kept."""

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell

    def found(self, name: str, peer: str, clients: Sequence[int], was_mine: bool) -> None:
        self._shell.quota.warning(
            "Two states of a document contradict each other: the losing one is kept",
            (peer, ""),
            doc=name,
            peer=peer,
            clients=list(clients),
            loser="local" if was_mine else "peer",
        )

    def kept(self, names: Sequence[str], dropped: int) -> None:
        if not names:
            self._shell.clear_problem("conflicts")
            return
        others = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
        lost = f" {dropped} older ones were dropped for room." if dropped else ""
        self._shell.raise_problem(
            "conflicts",
            f"two states of {', '.join(names[:NAMED])}{others} contradicted each other: a Yjs client or a node was "
            f"copied, and both copies wrote. All nodes hold one of them, and what lost is kept.{lost}",
            "Read what lost (`peatnode conflicts`, GET /api/v1/conflicts), write again what is missing, and dismiss "
            "it. Do not restore browser profiles or machines from copies that go on.",
        )


def _entry(kept: KeptConflict) -> ConflictEntry:
    return ConflictEntry(
        kept.id,
        kept.at,
        *names_of(kept.key),
        kept.incarnation,
        kept.clients,
        kept.peer,
        kept.was_mine,
        kept.size,
    )


def _encode(kept: KeptConflict) -> bytes:
    packed: bytes = msgpack.packb(
        (
            kept.at,
            kept.key,
            kept.incarnation,
            kept.clients,
            kept.peer,
            kept.was_mine,
            kept.size,
        )
    )
    return packed


def _decode(number: bytes, data: bytes) -> KeptConflict | None:
    """None for a damaged entry."""
    try:
        fields = unpack(data, STORED)
        kept: KeptConflict | None = _read((number, *fields)) if type(fields) is tuple else None
    except MalformedFrame:
        return None
    return kept if kept is not None and is_document_key(kept.key) else None
