"""The note of the newest files: what RocksDB's files in the store's directory must be at least.

RocksDB opens a database whose newest log is gone, or whose older log ends early between two batches, as if nothing were
missing. If its MANIFEST (the list of tables) ends early, it even removes the tables that the lost part had named. The
note, which is written whenever one of these files has changed its state, shows it before RocksDB opens them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import msgpack

from workers.store.disk.log.records import by_number, log_names, oldest_log

NOTE = "newest-files"


@dataclass(frozen=True, slots=True)
class FilesNote:
    """The state of the files at the time of the note. All of it is on disk."""

    newest_log: str
    older_logs: dict[str, int] = field(default_factory=dict)
    """The logs that are complete, but not in tables yet, with their sizes."""
    manifest: str = ""
    manifest_bytes: int = 0
    manifest_crc: int = 0
    """CRC-32 of these bytes. RocksDB appends to the file until it begins another one."""

    def encode(self) -> bytes:
        fields = (
            self.newest_log,
            self.older_logs,
            self.manifest,
            self.manifest_bytes,
            self.manifest_crc,
        )
        packed: bytes = msgpack.packb(fields)
        return crc32(packed).to_bytes(4, "big") + packed


def decode_note(content: bytes) -> FilesNote | None:
    """None if the content is damaged."""
    if content[:4] != crc32(content[4:]).to_bytes(4, "big"):
        return None
    return FilesNote(*msgpack.unpackb(content[4:]))


def current_manifest(path: Path) -> str:
    """The name of the list of tables; empty if CURRENT does not name a file. Raises OSError for other reasons."""
    try:
        name = (path / "CURRENT").read_bytes().removesuffix(b"\n").decode("ascii", "replace")
        return name if name.startswith("MANIFEST-") and (path / name).is_file() else ""
    except (FileNotFoundError, ValueError):
        return ""


def manifest_damage(path: Path) -> str:
    """The damage, if the MANIFEST of a closed database lacks a part that was noted; otherwise empty. Raises OSError."""
    note = _read_note(path)
    name = current_manifest(path)
    if note is None or not note.manifest or not name:
        return ""
    if by_number(name) != by_number(note.manifest):
        is_older = by_number(name) < by_number(note.manifest)
        return f"CURRENT names {name}, which is not the newest" if is_older else ""
    with (path / name).open("rb") as manifest:
        noted = manifest.read(note.manifest_bytes)
    if len(noted) < note.manifest_bytes:
        return f"the end of {name} is missing"
    return f"{name} is damaged" if crc32(noted) != note.manifest_crc else ""


def _read_note(path: Path) -> FilesNote | None:
    try:
        return decode_note((path / NOTE).read_bytes())
    except FileNotFoundError:
        return None


def files_damage(path: Path, has_note: bool) -> str:
    """The damage, if a closed database lacks files, or parts of them, that were noted; otherwise empty.

    `has_note` is whether the program that wrote it has noted its files. One of an older program with tables has a log,
    because RocksDB begins one at each opening; without tables, its creation may have been interrupted. Raises OSError.
    """
    logs = log_names(os.listdir(path))
    if not (path / NOTE).exists():
        if has_note:
            return "the note of the newest files is missing"
        is_damaged = not logs and any(path.glob("*.sst"))
        return "all logs are missing" if is_damaged else ""
    note = _read_note(path)
    if note is None:
        return "the note of the newest files is damaged"
    return manifest_damage(path) or _log_damage(path, logs, note)


def _log_damage(path: Path, logs: list[str], note: FilesNote) -> str:
    if not logs or by_number(logs[-1]) < by_number(note.newest_log):
        return f"the newest log is missing ({note.newest_log})"
    for log, size in note.older_logs.items():
        if log in logs and (path / log).stat().st_size != size:
            return f"a part of a log is missing ({log})"
    missing = [log for log in (*note.older_logs, note.newest_log) if log not in logs]
    name = current_manifest(path)
    if not missing or name != note.manifest:
        return ""
    content = (path / name).read_bytes()
    oldest = f"{oldest_log(content):06}.log"
    # a note may be made between the entry of the MANIFEST that replaces a log and the removal of the log
    missing = [log for log in missing if by_number(log) >= by_number(oldest)]
    if not missing or len(content) > note.manifest_bytes:
        return ""
    return f"a log is missing ({missing[0]})"
