"""The trace: every change of the files below one directory, in order, and the marks that the test sets between them."""

from __future__ import annotations

import enum
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct("<BIIQQ")


class EventKind(enum.IntEnum):
    OPENED = ord("O")
    WRITTEN = ord("W")
    TRUNCATED = ord("T")
    SYNC_BEGUN = ord("B")
    SYNC_ENDED = ord("E")
    SYNCED_ALL = ord("S")
    RENAMED = ord("R")
    UNLINKED = ord("U")
    LINKED = ord("L")
    DIRECTORY_MADE = ord("M")
    DIRECTORY_REMOVED = ord("D")
    UNKNOWN = ord("X")
    MARKED = ord("K")


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the trace; see `recorder.c`."""

    kind: EventKind
    inode: int
    """The number of the file or directory, where the call had an open one."""
    number: int
    """An offset, a size, the number of a sync, or 1 for an opening that truncates."""
    path: str
    """Relative to the root of the trace."""
    data: bytes
    """What was written, a second path, or the content of a mark."""


def read_trace(path: Path) -> list[Event]:
    """All events. Fails on a call whose effect the model does not know."""
    content = path.read_bytes()
    events, at = [], 0
    while at < len(content):
        kind, first, second, inode, number = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        name = content[at : at + first].decode()
        data = content[at + first : at + first + second]
        at += first + second
        assert kind != EventKind.UNKNOWN, f"the recorder does not know the effect of {name!r}"
        events.append(Event(EventKind(kind), inode, number, name, data))
    assert at == len(content), "the trace ends within an event"
    return events


class Marker:
    """Appends marks to a trace. Whoever marks what it was told does so after all events that led to it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def mark(self, content: bytes) -> None:
        written = _HEADER.pack(EventKind.MARKED, 0, len(content), 0, 0) + content
        assert os.write(self._file, written) == len(written)

    def close(self) -> None:
        os.close(self._file)
