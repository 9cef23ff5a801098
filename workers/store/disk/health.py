"""What ails the disk, as operators see it, and what is done about it: writes are tried again, damage is mended."""

from __future__ import annotations

import time

from peatnode.documents.replica.keyspace import META
from peatnode.worker.shell import WorkerShell
from workers.store.disk.database import Database, StorageFailed
from workers.store.disk.open import mark_damaged, write_probe
from workers.store.disk.space import free_bytes, used_bytes

PROBE_SECONDS = 1.0
MAX_PROBES = 3
"""Refused by RocksDB alone, while the disk takes writes: it has to be opened anew."""
UNREADABLE_SECONDS = 3.0
"""Without a read that failed: then the disk is well again."""
REPAIRED_SECONDS = 600.0
"""Damage so soon after mending is not mended again: it would come back."""
SPARE_BYTES = 32 * 1024 * 1024

ADVICE_FULL = (
    "Free some space in PEAT_DATA_DIR, or enlarge its volume; writes go on by themselves then."
)
ADVICE_DISK = (
    "Look at the disk below PEAT_DATA_DIR and at the kernel's log; the node goes on by itself when the disk is well. "
    "If it is lost: stop the node, give it another one and start it, and the peers send the documents."
)
_ADVICE_DAMAGED = (
    "Stop the node, move its store directory away and start it: the peers send the documents again."
)

_PROBE = META + b"probe"


class DiskHealth:
    def __init__(self, shell: WorkerShell, database: Database, was_repaired: bool) -> None:
        """`was_repaired`: when it was opened just now."""
        self._shell = shell
        self._database = database
        self._repaired_at = time.monotonic() if was_repaired else None
        self._last_probe = 0.0
        self._probes = 0
        self._unreadable_at: float | None = None
        self._is_leaving = False
        self.problem = ""
        """Why the disk takes no writes; empty: it does."""

    @property
    def is_writable(self) -> bool:
        return not self.problem

    def wrote(self) -> None:
        if not self.problem:
            return
        self.problem = ""
        self._probes = 0
        self._shell.log.info("Disk takes writes again")
        self._shell.clear_problem("storage")

    def refused(self, error: StorageFailed) -> None:
        """A write. One that is only read keeps the reason for that."""
        if self._database.is_read_only and self.problem:
            return
        if not self.problem:
            self._shell.log.error("Disk refuses writes", reason=str(error))
        self.problem = "the disk is full" if error.is_full else str(error)
        self._shell.raise_problem(
            "storage",
            f"the store cannot write: {self.problem}",
            ADVICE_FULL if error.is_full else ADVICE_DISK,
            blocks_readiness=True,
        )
        if error.is_corruption:
            self.cannot_read(error)

    def probe(self) -> None:
        """Whether the disk takes writes again. Not while a batch is open."""
        now = time.monotonic()
        if now - self._last_probe < PROBE_SECONDS:
            return
        self._last_probe = now
        try:
            self._database.write([(_PROBE, b"x" * 4096)])
            self._database.sync()
            self._database.write([(_PROBE, None)])
        except StorageFailed:
            self._doubt_database()
            return
        self.wrote()

    def _doubt_database(self) -> None:
        """After an error of the disk RocksDB may take no writes any more, however well the disk is."""
        try:
            write_probe(self._database.path)
        except OSError:
            self._probes = 0
            return
        self._probes += 1
        if self._probes >= MAX_PROBES:
            self._leave("the disk is well, and the database has to be opened anew")

    def cannot_read(self, error: StorageFailed) -> None:
        """What is damaged is mended at the next opening; whatever else it is may pass."""
        if self._unreadable_at is None:
            self._shell.log.error("Cannot read", reason=str(error))
        self._unreadable_at = time.monotonic()
        advice = ADVICE_DISK
        if error.is_corruption:
            advice = self._schedule_repair(str(error))
        self._shell.raise_problem(
            "damage",
            f"part of the database cannot be read: {error}",
            advice,
            blocks_readiness=True,
        )

    def _schedule_repair(self, damage: str) -> str:
        """Returns the advice."""
        if (
            self._repaired_at is not None
            and time.monotonic() - self._repaired_at < REPAIRED_SECONDS
        ):
            return f"It was mended a moment ago: do not trust this disk. {_ADVICE_DAMAGED}"
        path = self._database.path
        if free_bytes(path) < used_bytes(path) + SPARE_BYTES:
            return f"There is no room to mend it: free as much space as it takes. Or: {_ADVICE_DAMAGED}"
        try:
            mark_damaged(path, damage)
        except OSError:
            return _ADVICE_DAMAGED
        self._leave("part of the database is damaged, and mended at the next start")
        return "It is being mended; what was lost comes back from the peers."

    def _leave(self, reason: str) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._shell.recycle(reason)

    def pass_time(self) -> None:
        """A disk that could not be read for a while is believed to be well again."""
        since = self._unreadable_at
        if since is None or self._is_leaving or time.monotonic() - since < UNREADABLE_SECONDS:
            return
        self._unreadable_at = None
        self._shell.clear_problem("damage")
