"""Disk health: reports the problems of the disk, tries refused writes again, and schedules the repair of damage."""

from __future__ import annotations

import time

from peatnode.documents.replica.keyspace import META
from peatnode.worker.shell import WorkerShell
from workers.store.disk.advice import ADVICE_DISK, advice_of, reason_of
from workers.store.disk.database import Database, StorageFailed
from workers.store.disk.open import Repair, mark_for_repair, write_probe
from workers.store.disk.space import free_bytes, used_bytes

PROBE_SECONDS = 1.0
"""Pause between two probes."""
MAX_PROBES = 3
"""After so many probes that only RocksDB refuses, the worker restarts and opens the database again."""
UNREADABLE_SECONDS = 3.0
"""Time without a failed read after which the disk counts as healthy."""
REPAIRED_SECONDS = 600.0
"""Damage that appears sooner after everything was copied is not repaired again, because it would come back."""
SPARE_BYTES = 32 * 1024 * 1024
"""Free space that a repair needs in addition to the size of the database."""

_ADVICE_DAMAGED = (
    "Stop the node, move its store directory away and start it. The peers send the documents again."
)

_PROBE = META + b"probe"


class DiskHealth:
    """Keeps track of failed reads and writes, raises the problems for operators, and probes a disk that failed.

    If the database is damaged, it marks the damage and restarts the worker, because the next opening repairs it.
    """

    def __init__(self, shell: WorkerShell, database: Database, repair: Repair) -> None:
        """`repair` is what the opening of the database, just now, has done."""
        self._shell = shell
        self._database = database
        self._repair = repair
        self._opened_at = time.monotonic()
        self._last_probe = 0.0
        self._probes = 0
        self._unreadable_at: float | None = None
        self._is_restarting = False
        self.problem = ""
        """The reason why the disk refuses writes; empty if it accepts them."""

    @property
    def is_writable(self) -> bool:
        return not self.problem

    def write_succeeded(self) -> None:
        """Notes that a write succeeded."""
        if not self.problem:
            return
        self.problem = ""
        self._probes = 0
        self._shell.log.info("Disk takes writes again")
        self._shell.clear_problem("storage")

    def write_failed(self, error: StorageFailed) -> None:
        """Notes that a write failed. A read-only database keeps its first reason."""
        if self._database.is_read_only and self.problem:
            return
        if not self.problem:
            self._shell.log.error("Disk refuses writes", reason=str(error))
        path = self._database.path
        self.problem = reason_of(error, path)
        self._shell.raise_problem(
            "storage",
            f"the store cannot write: {self.problem}",
            advice_of(error, path),
            blocks_readiness=True,
        )
        if error.is_corruption:
            self.read_failed(error)

    def probe(self) -> None:
        """Tests whether the disk accepts writes again. The caller makes sure that no batch is open."""
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
        self.write_succeeded()

    def _doubt_database(self) -> None:
        """Restarts the worker if RocksDB refuses writes after a disk error although the disk is healthy again."""
        try:
            write_probe(self._database.path)
        except OSError:
            self._probes = 0
            return
        self._probes += 1
        if self._probes >= MAX_PROBES:
            self._restart("the disk is healthy, and the database must be opened again")

    def read_failed(self, error: StorageFailed) -> None:
        """Notes that a read failed. The next opening repairs damage; other failures may pass."""
        if self._unreadable_at is None:
            self._shell.log.error("Cannot read", reason=str(error))
        self._unreadable_at = time.monotonic()
        advice = ADVICE_DISK
        if error.is_corruption:
            advice = self._schedule_repair(error)
        self._shell.raise_problem(
            "damage",
            f"part of the database cannot be read: {error}",
            advice,
            blocks_readiness=True,
        )

    def _schedule_repair(self, error: StorageFailed) -> str:
        """Marks the damage and restarts the worker, if a repair can help. Returns the advice for the operator."""
        if time.monotonic() - self._opened_at >= REPAIRED_SECONDS:
            self._repair = Repair.NONE
        path = self._database.path
        if free_bytes(path) < used_bytes(path) + SPARE_BYTES:
            return (
                "There is not enough free space to repair it: free as much space as the store uses. "
                f"Or: {_ADVICE_DAMAGED}"
            )
        try:
            if not mark_for_repair(path, error, self._repair):
                return (
                    f"It was repaired a moment ago, so this disk is not reliable. {_ADVICE_DAMAGED}"
                )
        except OSError:
            return _ADVICE_DAMAGED
        self._restart("part of the database is damaged, and the next start repairs it")
        return "It is being repaired. Documents that were lost come back from the peers."

    def _restart(self, reason: str) -> None:
        if not self._is_restarting:
            self._is_restarting = True
            self._shell.recycle(reason)

    def clear_old_problem(self) -> None:
        """Clears the problem of failed reads if no read has failed for a while."""
        since = self._unreadable_at
        if since is None or self._is_restarting or time.monotonic() - since < UNREADABLE_SECONDS:
            return
        self._unreadable_at = None
        self._shell.clear_problem("damage")
