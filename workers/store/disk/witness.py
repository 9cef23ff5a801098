"""The commit witness: a small file on a tmpfs that holds the sequence of the last commit, outside of the store's disk.

A store whose disk went back in time, or lost synced changes, does not know it. The witness does: it is updated after
each sync and before anything of the batch is answered or sent, and it does not survive the machine. So a store with the
same boot id, the same generation and no lower sequence has everything that anybody has seen of it.

A second sequence is noted before a batch is written. A batch that was lost before its sync has been seen by nobody. But
a copy of the files may hold it, and a store that has it after a crash shows it from then on.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

HEADER_BYTES = 64
"""Size of the fields. The path of the store follows them, in the same page of memory."""
MAX_PATH_BYTES = 4096
MAX_ORPHANS = 256
"""Files that one opening inspects, to remove the witnesses of stores that do not exist any more."""

_MAGIC = b"peatwit1"
_HEADER = struct.Struct("=8s16sQQQ")
_SEQUENCE = struct.Struct("=Q")
_SEQUENCE_AT, _WRITTEN_AT = 32, 40
"""Aligned to 8 bytes, so that one store instruction of the processor replaces a number."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/self/mountinfo")
_VOLATILE = ("tmpfs", "ramfs")
_NEW = ".new"


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What an earlier process of this store has noted on this machine."""

    is_same_boot: bool
    generation: int
    sequence: int
    """Of the last commit that can have been answered, shown or sent."""
    written: int
    """Of the last change that can have been written to the log."""


class CommitWitness:
    """The witness of one store. Without a directory it holds nothing, and the next start begins a new generation.

    No method raises an error: a witness that cannot be written is removed.
    """

    def __init__(self, directory: int, store: Path, boot: bytes) -> None:
        """`directory` is the descriptor of a private directory on a tmpfs, or -1; `boot` is the boot id."""
        self._directory = directory
        self.boot = boot
        """The boot id of the machine; empty if it is unknown."""
        self._store = os.fsencode(os.path.realpath(store))[:MAX_PATH_BYTES]
        self._name = sha256(self._store).hexdigest()[:32]
        self._map: mmap.mmap | None = None
        self.found: Witnessed | None = None
        """What the last process has left. `begin` and `discard` do not change it."""
        if directory >= 0:
            self._map = self._open()
        if self._map is not None:
            _, noted_boot, generation, sequence, written = _HEADER.unpack_from(self._map)
            self.found = Witnessed(noted_boot == boot, generation, sequence, written)

    def _open(self) -> mmap.mmap | None:
        """The existing file, if it belongs to this store."""
        with contextlib.suppress(OSError, ValueError):
            file = _open_file(self._directory, self._name, os.O_RDWR)
            try:
                if _store_of(file) == self._store:
                    return mmap.mmap(file, HEADER_BYTES)
            finally:
                os.close(file)
        return None

    def begin(self, generation: int, sequence: int) -> None:
        """Replaces the file: from now on it witnesses this generation. The caller has synced the database.

        The file is a new one, because an older process or another container may have mapped the old one.
        """
        self.discard()
        if self._directory < 0:
            return
        header = _HEADER.pack(_MAGIC, self.boot, generation, sequence, sequence)
        try:
            self._map = self._create(header.ljust(HEADER_BYTES, b"\0") + self._store)
        except (OSError, ValueError):
            self.discard()

    def _create(self, content: bytes) -> mmap.mmap:
        """Writes the file, so that its memory is allocated, and maps it. Raises OSError, ValueError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
        file = _open_file(self._directory, self._name + _NEW, flags)
        try:
            if os.write(file, content) != len(content):
                raise OSError("the file is incomplete")
            mapped = mmap.mmap(file, HEADER_BYTES)
        finally:
            os.close(file)
        directory = self._directory
        try:
            os.rename(self._name + _NEW, self._name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            mapped.close()
            raise
        return mapped

    def note_write(self, sequence: int) -> None:
        """Notes that changes up to `sequence` may be in the log. Call it before they are written."""
        if self._map is not None:
            _SEQUENCE.pack_into(self._map, _WRITTEN_AT, sequence)

    def note(self, sequence: int) -> None:
        """Notes that all changes up to `sequence` are synced. Call it before anything of them is answered or sent."""
        if self._map is not None:
            _SEQUENCE.pack_into(self._map, _SEQUENCE_AT, sequence)

    def discard(self) -> None:
        """Removes the file, so that it proves nothing any more."""
        self._unmap()
        if self._directory >= 0:
            for name in (self._name, self._name + _NEW):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._directory)

    def close(self) -> None:
        """Leaves the file for the next process."""
        self._unmap()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def _unmap(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None


def open_witness(store: Path, run_dir: Path | None = None) -> CommitWitness:
    """The witness of the store in a directory; `run_dir` is the first place where its file may be."""
    try:
        boot = bytes.fromhex(_BOOT_ID.read_text().strip().replace("-", ""))
        mounts = os.fsdecode(_MOUNTS.read_bytes())
    except (OSError, ValueError):
        return no_witness(store)
    for place in _places(run_dir):
        directory = _private_directory(place, mounts)
        if directory >= 0:
            _remove_orphans(directory)
            return CommitWitness(directory, store, boot)
    return CommitWitness(-1, store, boot)


def no_witness(store: Path) -> CommitWitness:
    """A witness that holds nothing."""
    return CommitWitness(-1, store, b"")


def _places(run_dir: Path | None) -> Iterator[Path]:
    if run_dir is not None:
        yield run_dir
    yield Path("/dev/shm")  # noqa: S108 (the directory in it is private, and that is checked)
    yield Path(f"/run/user/{os.getuid()}")
    yield Path("/tmp")  # noqa: S108


def _private_directory(place: Path, mounts: str) -> int:
    """The descriptor of this user's directory in `place`; -1 if it is not on a tmpfs, or not private."""
    path = Path(os.path.realpath(place)) / f"peatnode-{os.getuid()}"
    if file_system_of(path, mounts) not in _VOLATILE:
        return -1
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1
    found = os.fstat(directory)
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        os.close(directory)
        return -1
    return directory


def file_system_of(path: Path, mounts: str) -> str:
    """The type of the file system that holds a path without symbolic links; `mounts` is /proc/self/mountinfo."""
    longest, kind = -1, ""
    for line in mounts.rstrip("\n").split("\n"):
        fields = line.split(" ")
        point = Path(_unescaped(fields[4]))
        if len(point.parts) >= longest and path.is_relative_to(point):
            longest, kind = len(point.parts), fields[fields.index("-") + 1]
    return kind


def _unescaped(point: str) -> str:
    """A mount point of mountinfo, where spaces and other separators are octal numbers."""
    for text, escape in ((" ", r"\040"), ("\t", r"\011"), ("\n", r"\012"), ("\\", r"\134")):
        point = point.replace(escape, text)
    return point


def _remove_orphans(directory: int) -> None:
    """Removes witnesses of stores that do not exist any more."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in islice(entries, MAX_ORPHANS):
            with contextlib.suppress(OSError, ValueError):
                file = _open_file(directory, entry.name, os.O_RDONLY)
                try:
                    store = _store_of(file)
                finally:
                    os.close(file)
                if not os.path.lexists(store):
                    os.unlink(entry.name, dir_fd=directory)


def _open_file(directory: int, name: str, flags: int) -> int:
    """Raises OSError."""
    return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory)


def _store_of(file: int) -> bytes:
    """The path of the store that a witness belongs to. Raises OSError, and ValueError for another file."""
    found = os.fstat(file)
    content = os.pread(file, HEADER_BYTES + MAX_PATH_BYTES, 0)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
        raise ValueError("not a file of this user")
    if not content.startswith(_MAGIC) or len(content) <= HEADER_BYTES:
        raise ValueError("not a witness")
    return content[HEADER_BYTES:]
