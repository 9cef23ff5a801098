"""Keeps on disk which peers' deletions are paused, applies the guard to what a peer sends, and tells operators."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgpack

from peatnode.codec.records import STORED, fields_getter, record_reader, unpack
from peatnode.documents.replica.keyspace import PAUSED
from peatnode.documents.replica.record import Record
from peatnode.documents.replica.replica import Replica
from peatnode.errors import MalformedFrame
from peatnode.model.members import PausedDeletions
from peatnode.worker.shell import WorkerShell
from workers.store.peers.deletion_guard import DeletionGuard

PROBLEM = "deletions"
NAMED = 3
"""Peers that the problem names."""

_read_pause = record_reader(PausedDeletions, STORED)
_fields_of = fields_getter(PausedDeletions)


class PauseObserver(Protocol):
    """Is told which peers' deletions are paused."""

    def paused(self, peers: Sequence[str]) -> None: ...


class Deletions:
    """The guard of this store, with what it needs from the disk and the clocks."""

    def __init__(
        self,
        replica: Replica,
        limit: int,
        observer: PauseObserver,
        expires: Callable[[], bool] = lambda: True,
        steady: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        """Reads which are paused. `expires`: whether the wall clock is known to be right. Raises StorageFailed."""
        self._replica = replica
        self._observer = observer
        self._expires = expires
        self._steady, self._unix = steady, unix
        self._guard = DeletionGuard(limit, _read(replica))
        self._staged: tuple[str, ...] | None = self._names
        """What the disk has, or the open batch; None: that was dropped."""
        self._told = self._names
        if self._told:
            observer.paused(self._told)

    @property
    def refused(self) -> int:
        return self._guard.total

    @property
    def paused(self) -> tuple[PausedDeletions, ...]:
        return self._guard.paused

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple([one.node_id for one in self._guard.paused])

    def pause_of(self, peer: str) -> PausedDeletions | None:
        return self._guard.pause_of(peer)

    def gate(self, peer: str) -> PeerGate | None:
        """What a change of a peer has to pass; None: it need not, because it is not from a peer."""
        return PeerGate(self, self._guard, self._steady, peer) if peer else None

    def refusal(self, peer: str, key: bytes, record: Record, ends_at: float) -> str:
        expires_at = record.expires_at
        if expires_at and not ends_at and not self._expires():
            return ""  # whether it is due, this clock cannot tell
        life = key, record.incarnation
        return self._guard.refusal(peer, life, expires_at, ends_at, self._steady(), self._unix())

    def allow(self, peer: str) -> bool:
        """In the open batch. Whether the deletions of the peer were paused."""
        were_paused = self._guard.allow(peer, self._steady())
        self.stage()
        return were_paused

    def stage(self) -> None:
        """Takes what has changed into the open batch."""
        names = self._names
        if names != self._staged:
            self._staged = names
            self._replica.put(PAUSED, msgpack.packb([*map(_fields_of, self._guard.paused)]))

    def committed(self) -> None:
        """Tells the observer what has changed, now that it is on disk."""
        if self._staged is not None and self._told != self._staged:
            self._told = self._staged
            self._observer.paused(self._told)

    def forget(self) -> None:
        """The open batch was dropped: what is paused is staged with the next one."""
        self._staged = None


class PeerGate:
    """An EndingGate for the changes of one peer."""

    def __init__(
        self, deletions: Deletions, guard: DeletionGuard, steady: Callable[[], float], peer: str
    ) -> None:
        self._deletions = deletions
        self._guard = guard
        self._steady = steady
        self._peer = peer

    def refusal(self, key: bytes, record: Record, ends_at: float) -> str:
        return self._deletions.refusal(self._peer, key, record, ends_at)

    def began(self, key: bytes, incarnation: int) -> None:
        self._guard.began(self._peer, (key, incarnation), self._steady())


class PauseReports:
    """Tells operators in the log, and as a problem of the node until the deletions are allowed."""

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell
        self._known: set[str] = set()

    def paused(self, peers: Sequence[str]) -> None:
        for peer in [peer for peer in peers if peer not in self._known]:
            self._shell.log.error("Deletions paused", peer=peer)
        self._known = set(peers)
        if not peers:
            self._shell.clear_problem(PROBLEM)
            return
        others = f" and {len(peers) - NAMED} others" if len(peers) > NAMED else ""
        limit = self._shell.config.max_peer_deletions
        self._shell.raise_problem(
            PROBLEM,
            f"deletions of {', '.join(peers[:NAMED])}{others} are paused: more than {limit:,} came in a minute. "
            "Further ones are refused, so this node keeps documents that the peer has not",
            "If they are wanted: `peatnode peers allow-deletions ID`. If not: `peatnode peers block ID` on each node, "
            "then bring back what is gone (docs/security.md).",
        )


def _read(replica: Replica) -> Iterator[PausedDeletions]:
    """What is damaged is left out: the peer is counted anew."""
    data = replica.kv.get(PAUSED)
    try:
        items = () if data is None else unpack(data, STORED)
    except MalformedFrame:
        return
    for item in items if isinstance(items, tuple) else ():
        try:
            yield _read_pause(item)
        except MalformedFrame:
            continue
