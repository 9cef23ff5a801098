"""Syncs the log that RocksDB appends to, and notes in the store's directory which log is the newest.

RocksDB opens a database whose newest log is gone as if nothing were missing. The note tells.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

NOTE = "newest-log"
"""The file that holds the name of the newest log that was synced."""

_NAME = re.compile(rb"\d{6,}\.log")


class WriteAheadLog:
    """The log of an open database.

    RocksDB begins a new log only before it writes a batch or when it flushes, so the newest log holds the last batch.
    When a new log has begun, the older ones are synced once more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = ""
        self._file = -1
        self._is_noted = False

    def sync(self) -> None:
        """Returns when everything in the logs is on disk. Raises OSError."""
        *older, newest = _logs(self._path)
        if newest != self._name:
            for name in older:
                self._sync_older(name)
            self._open(newest)
        os.fdatasync(self._file)
        if not self._is_noted:
            self._is_noted = self._write_note()

    def _sync_older(self, name: str) -> None:
        """Syncs an older log. If it does not exist, its content is in sorted files, which RocksDB has synced."""
        with contextlib.suppress(FileNotFoundError):
            file = os.open(self._path / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(file)
            finally:
                os.close(file)

    def _open(self, name: str) -> None:
        opened = os.open(self._path / name, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(self._directory)
        if self._file >= 0:
            os.close(self._file)
        self._name, self._file, self._is_noted = name, opened, False

    def _write_note(self) -> bool:
        """Notes the newest log, after its name is on disk. False: the disk refuses, and the next sync tries again.

        Until then the note names an older log. It promises less, and nothing wrong.
        """
        fresh = self._path / f"{NOTE}.new"
        try:
            with fresh.open("w") as note:
                note.write(self._name)
                note.flush()
                os.fsync(note.fileno())
            fresh.rename(self._path / NOTE)
            os.fsync(self._directory)
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        os.close(self._directory)


def _logs(path: Path) -> list[str]:
    """The names of the logs, in the order of their numbers, which have six digits, and more from the millionth on."""
    names = (name for name in os.listdir(path) if name.endswith(".log"))
    return sorted(names, key=lambda name: (len(name), name))


def missing_log(path: Path) -> str:
    """The damage, if the newest log of a closed database is missing; empty if it is there. Raises OSError.

    A database of an older program has no note. With sorted files it has a log anyway, because RocksDB begins one at
    each opening; without them, its creation may have been interrupted.
    """
    logs = _logs(path)
    try:
        noted = (path / NOTE).read_bytes()
    except FileNotFoundError:
        is_damaged = not logs and any(path.glob("*.sst"))
        return "all logs are missing" if is_damaged else ""
    if not _NAME.fullmatch(noted):
        return f"the name of the newest log in {NOTE} is damaged"
    name = noted.decode()
    if not logs or (len(name), name) > (len(logs[-1]), logs[-1]):
        return f"the newest log is missing ({name})"
    return ""
