"""Syncs the log that RocksDB appends to, and keeps the note of the newest files."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from zlib import crc32

from workers.store.disk.durable_files import replace_file, sync_file
from workers.store.disk.log.files_note import NOTE, FilesNote, current_manifest
from workers.store.disk.log.records import log_names


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
        self._noting = threading.Lock()
        self._noted = FilesNote("")

    def sync(self) -> None:
        """Returns when everything in the logs is on disk. Raises OSError."""
        *older, newest = logs = log_names(os.listdir(self._path))
        if newest != self._name:
            for name in older:
                with contextlib.suppress(
                    FileNotFoundError
                ):  # it is in sorted files, which are synced
                    sync_file(self._path / name)
            self._open(newest)
        os.fdatasync(self._file)
        if self._has_changed(logs):
            self.note_files()

    def _open(self, name: str) -> None:
        opened = os.open(self._path / name, os.O_RDONLY | os.O_CLOEXEC)
        os.fsync(self._directory)
        if self._file >= 0:
            os.close(self._file)
        self._name, self._file = name, opened

    def _has_changed(self, logs: list[str]) -> bool:
        """Whether the note is older than the files."""
        noted = self._noted
        if noted.newest_log != logs[-1] or len(noted.older_logs) != len(logs) - 1:
            return True
        try:
            size = os.stat(noted.manifest, dir_fd=self._directory).st_size
        except OSError:
            return True
        return size != noted.manifest_bytes

    def note_files(self) -> None:
        """Notes the newest files, after they are on disk.

        If the disk refuses, the next sync tries again. Until then the older note promises less, and nothing wrong.
        """
        if self._noting.acquire(blocking=False):
            try:
                with contextlib.suppress(OSError):
                    self._write_note(self._files())
            finally:
                self._noting.release()

    def _files(self) -> FilesNote:
        """The state of the files, which is on disk when this returns. Raises OSError."""
        *older, newest = log_names(os.listdir(self._path))
        if newest != self._name:
            os.fsync(self._directory)
        sizes = {}
        for name in older:
            with contextlib.suppress(FileNotFoundError):
                sync_file(self._path / name)
                sizes[name] = (self._path / name).stat().st_size
        name = current_manifest(self._path)
        manifest = os.open(self._path / name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(manifest).st_size
            os.fdatasync(manifest)
            content = os.pread(manifest, size, 0)
        finally:
            os.close(manifest)
        return FilesNote(newest, sizes, name, len(content), crc32(content))

    def _write_note(self, note: FilesNote) -> None:
        """Raises OSError."""
        replace_file(self._path / NOTE, note.encode())
        self._noted = note

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        os.close(self._directory)
