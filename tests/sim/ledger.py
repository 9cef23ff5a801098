"""What clients were told: acknowledged writes, and which of them the disks may have lost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from peatnode.documents.names import names_of
from peatnode.documents.yjs.update import decode_update
from tests.sim.contents import DELETED_UNIT, Content, Get, content_of, record_of, units_of

Ended = tuple[bytes, int]
"""Document key and incarnation."""


@dataclass(frozen=True, slots=True, eq=False)
class Acknowledged:
    """One write that a client was told to be on disk."""

    key: bytes
    incarnation: int
    is_deleted: bool
    update: bytes
    """What the write adds; empty for a deletion."""
    node: str

    def __str__(self) -> str:
        kind = "the deletion" if self.is_deleted else "a write"
        return f"{kind} of {'/'.join(names_of(self.key))} ({self.incarnation}) at {self.node}"


@dataclass
class Ledger:
    """Acknowledged writes. A write may be missing only if a disk lost it when no other disk had it."""

    writes: list[Acknowledged] = field(default_factory=list)
    excused: set[Acknowledged] = field(default_factory=set)
    """Writes that no disk held after some disk was damaged."""
    ended: set[Ended] = field(default_factory=set)
    """Incarnations that a client deleted, or whose expiry had passed on the clock of a node."""
    expiring: set[Ended] = field(default_factory=set)
    """Incarnations that ever had an expiry."""

    def disk_damaged(self, disks: Iterable[Get]) -> None:
        """Call after a disk has lost something that was synced. `disks` read what is durable."""
        views = [DiskView(get) for get in disks]
        for write in self.writes:
            if any(view.holds(write) for view in views):
                self.excused.discard(write)
            else:
                self.excused.add(write)

    def missing(self, get: Get) -> list[Acknowledged]:
        """What a disk must hold and does not."""
        view = DiskView(get)
        return [w for w in self.writes if w not in self.excused and not view.holds(w)]


class DiskView:
    """One disk; each document is decoded once."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._contents: dict[bytes, Content | None] = {}

    def holds(self, write: Acknowledged) -> bool:
        """Whether a write is in here, or ended by a deletion or a later incarnation."""
        record = record_of(self._get, write.key)
        if record is None or record.incarnation < write.incarnation:
            return False
        if record.incarnation > write.incarnation or record.is_deleted:
            return True
        if write.is_deleted:
            return False
        if write.key not in self._contents:
            self._contents[write.key] = content_of(self._get, write.key)
        content = self._contents[write.key]
        assert content is not None
        told = decode_update(write.update)
        for at, unit in units_of(told).items():
            held = content.units.get(at)
            if held is None or (held != unit and held != (*unit[:-1], DELETED_UNIT)):
                return False
        return told.delete_set.subtract(content.deleted).is_empty
