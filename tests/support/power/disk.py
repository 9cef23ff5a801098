"""A model of a disk and its file system: what is synced stays, and the rest is undecided until the power is cut.

The content of a file is durable as it was when its last sync began. A name in a directory is durable after a sync of
that directory (POSIX promises no more). With `Names.ORDERED`, changes of names reach the disk in the order in which
they were made, and a sync of a file brings the change that named it, with all before it (as ext4 and XFS do).
"""

from __future__ import annotations

import enum
import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.power.trace import Event, EventKind


class Names(enum.Enum):
    """When a change of a directory is durable."""

    STRICT = "strict"
    ORDERED = "ordered"


class Syncs(enum.Enum):
    """Which syncs the disk honours. All but the first exist to show that a test notices."""

    ALL = "all"
    OF_FILES = "of files"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Write:
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Resize:
    size: int


@dataclass(eq=False, slots=True)
class File:
    """A file: its durable content, and the changes since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write | Resize] = field(default_factory=list)
    settled: int = 0
    """Changes that are durable, so that a sync knows how many more its begin covers."""
    is_tracked: bool = True
    """False for a stream, whose writes the recorder cannot see."""

    def content(self) -> bytes:
        """As programs see it."""
        seen = bytearray(self.durable)
        for change in self.pending:
            apply_change(seen, change)
        return bytes(seen)

    def settle(self, count: int) -> None:
        """Makes all changes durable up to the one of that number."""
        for change in self.pending[: max(0, count - self.settled)]:
            apply_change(self.durable, change)
        del self.pending[: max(0, count - self.settled)]
        self.settled = max(self.settled, count)


@dataclass(frozen=True, slots=True, eq=False)
class NameChange:
    """One change of one directory: a name added, removed, or both (a rename within the directory)."""

    directory: Directory
    added: tuple[str, File | Directory] | None = None
    removed: tuple[str, File | Directory] | None = None

    def names(self, found: File | Directory) -> bool:
        """Whether it gives a file its name."""
        return self.added is not None and self.added[1] is found

    def apply(self, names: dict[str, File | Directory]) -> None:
        """A name that means another file by now is not removed."""
        if self.removed is not None and names.get(self.removed[0]) is self.removed[1]:
            del names[self.removed[0]]
        if self.added is not None:
            names[self.added[0]] = self.added[1]


@dataclass(eq=False, slots=True)
class Directory:
    """A directory: its names as programs see them, and the durable ones."""

    names: dict[str, File | Directory] = field(default_factory=dict)
    durable: dict[str, File | Directory] = field(default_factory=dict)


def apply_change(content: bytearray, change: Write | Resize) -> None:
    if isinstance(change, Resize):
        del content[change.size :]
        content.extend(bytes(change.size - len(content)))
        return
    if len(content) < change.offset:
        content.extend(bytes(change.offset - len(content)))
    content[change.offset : change.offset + len(change.data)] = change.data


class Disk:
    """Replays a trace. `cut.py` takes what a power cut leaves at any point of it."""

    def __init__(self, names: Names = Names.STRICT, syncs: Syncs = Syncs.ALL) -> None:
        self._names, self._syncs = names, syncs
        self.root = Directory()
        self.pending: list[NameChange] = []
        """Changes of names that are not durable, in order."""
        self._inodes: dict[int, File | Directory] = {}
        self._begun: dict[int, int | list[NameChange]] = {}
        """For each running sync what it covers: the number of changes of a file, or the changes of names."""

    def replay(self, events: Iterable[Event]) -> None:
        for event in events:
            self._replay(event)

    def _replay(self, event: Event) -> None:
        match event.kind:
            case EventKind.OPENED:
                self._open(event)
            case EventKind.WRITTEN:
                self._change(event.inode, Write(event.number, event.data))
            case EventKind.TRUNCATED:
                self._change(event.inode, Resize(event.number))
            case EventKind.SYNC_BEGUN:
                self._begin_sync(event)
            case EventKind.SYNC_ENDED:
                self._end_sync(event)
            case EventKind.SYNCED_ALL:
                self._sync_all()
            case EventKind.RENAMED:
                self._rename(event.path, event.data.decode())
            case EventKind.UNLINKED | EventKind.DIRECTORY_REMOVED:
                directory, name = self._place(event.path)
                self._rename_entry(directory, removed=(name, directory.names[name]))
            case EventKind.LINKED:
                directory, name = self._place(event.data.decode())
                self._rename_entry(directory, added=(name, self._found(event.path)))
            case EventKind.DIRECTORY_MADE:
                directory, name = self._place(event.path)
                self._rename_entry(directory, added=(name, Directory()))
            case EventKind.MARKED | EventKind.UNKNOWN:
                pass

    # --- files

    def _open(self, event: Event) -> None:
        directory, name = self._place(event.path)
        found = directory.names.get(name) if name else directory
        if found is None:
            found = File()
            self._rename_entry(directory, added=(name, found))
        self._inodes[event.inode] = found
        if isinstance(found, File):
            found.is_tracked = not is_log_of_words(name)
            if event.number:
                found.pending.append(Resize(0))

    def _change(self, inode: int, change: Write | Resize) -> None:
        file = self._inodes[inode]
        assert isinstance(file, File)
        file.pending.append(change)

    # --- syncs

    def _begin_sync(self, event: Event) -> None:
        found = self._inodes[event.inode]
        if isinstance(found, File):
            self._begun[event.number] = found.settled + len(found.pending)
        else:
            self._begun[event.number] = self._names_before(lambda change: change.directory is found)

    def _end_sync(self, event: Event) -> None:
        found, covered = self._inodes[event.inode], self._begun.pop(event.number)
        if self._syncs is Syncs.NONE:
            return
        if isinstance(covered, list):
            self._settle(covered if self._syncs is Syncs.ALL else [])
            return
        assert isinstance(found, File)
        found.settle(covered)
        if self._names is Names.ORDERED:
            self._settle(self._names_before(lambda change: change.names(found)))

    def _names_before(self, is_synced: Callable[[NameChange], bool]) -> list[NameChange]:
        """The undecided changes of names that a sync makes durable."""
        synced = [n for n, change in enumerate(self.pending) if is_synced(change)]
        if self._names is Names.ORDERED:
            return self.pending[: synced[-1] + 1] if synced else []
        return [self.pending[n] for n in synced]

    def _settle(self, changes: list[NameChange]) -> None:
        for change in changes:
            change.apply(change.directory.durable)
        settled = set(map(id, changes))
        self.pending = [change for change in self.pending if id(change) not in settled]

    def _sync_all(self) -> None:
        if self._syncs is Syncs.NONE:
            return
        for file in _files(self.root):
            file.settle(file.settled + len(file.pending))
        self._settle(self.pending)

    # --- names

    def _place(self, path: str) -> tuple[Directory, str]:
        """The directory of a path, and its last name; the root, and no name."""
        *directories, name = posixpath.normpath(path or ".").split("/")
        directory = self.root
        for part in directories:
            found = directory.names[part]
            assert isinstance(found, Directory)
            directory = found
        return directory, "" if name == "." else name

    def _found(self, path: str) -> File | Directory:
        directory, name = self._place(path)
        return directory.names[name]

    def _rename(self, source: str, target: str) -> None:
        (from_directory, old), (to_directory, new) = self._place(source), self._place(target)
        moved = from_directory.names[old]
        if from_directory is to_directory:
            self._rename_entry(to_directory, added=(new, moved), removed=(old, moved))
            return
        self._rename_entry(to_directory, added=(new, moved))
        self._rename_entry(from_directory, removed=(old, moved))

    def _rename_entry(
        self,
        directory: Directory,
        added: tuple[str, File | Directory] | None = None,
        removed: tuple[str, File | Directory] | None = None,
    ) -> None:
        change = NameChange(directory, added, removed)
        change.apply(directory.names)
        self.pending.append(change)


def is_log_of_words(name: str) -> bool:
    """Whether it is RocksDB's log for people, which is written as a stream and never read."""
    return name == "LOG" or name.startswith("LOG.old.")


def loaded(directory: Path) -> Directory:
    """The files of a directory, all of them durable."""
    names: dict[str, File | Directory] = {}
    for entry in directory.iterdir():
        names[entry.name] = (
            loaded(entry)
            if entry.is_dir()
            else File(bytearray(entry.read_bytes()), is_tracked=not is_log_of_words(entry.name))
        )
    return Directory(names, dict(names))


def _files(directory: Directory) -> Iterator[File]:
    for found in directory.names.values():
        if isinstance(found, Directory):
            yield from _files(found)
        else:
            yield found
