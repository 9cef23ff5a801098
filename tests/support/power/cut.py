"""What a power cut leaves: everything durable, and of the rest whatever the random generator decides."""

from __future__ import annotations

import enum
import os
import random
from collections.abc import Iterator
from pathlib import Path

from tests.support.power.disk import (
    Directory,
    Disk,
    File,
    NameChange,
    Names,
    Resize,
    Write,
    apply_change,
)

SECTOR = 512
"""A disk writes so many bytes whole or not at all."""


class Rest(enum.Enum):
    """What becomes of that which is not durable."""

    LOST = "lost"
    KEPT = "kept"
    """As after the end of the process alone."""
    MIXED = "mixed"
    """Decided for each file and each name."""


def cut_power(disk: Disk, into: Path, rest: Rest, rng: random.Random, names: Names) -> None:
    """Writes the files that are left to a new directory."""
    left = _names_left(disk, rest, rng, names)
    _materialize(disk.root, into, left, _Contents(rest, rng), {})


def _names_left(
    disk: Disk, rest: Rest, rng: random.Random, names: Names
) -> dict[int, dict[str, File | Directory]]:
    """The names of each directory whose names have changed since it was synced."""
    left: dict[int, dict[str, File | Directory]] = {}
    for change in _kept_changes(disk.pending, rest, rng, names):
        directory = change.directory
        change.apply(left.setdefault(id(directory), dict(directory.durable)))
    return left


def _kept_changes(
    pending: list[NameChange], rest: Rest, rng: random.Random, names: Names
) -> list[NameChange]:
    if rest is not Rest.MIXED:
        return pending if rest is Rest.KEPT else []
    if names is Names.ORDERED:
        return pending[: rng.randint(0, len(pending))]
    share = rng.random()
    return [change for change in pending if rng.random() < share]


def _materialize(
    directory: Directory,
    path: Path,
    left: dict[int, dict[str, File | Directory]],
    contents: _Contents,
    written: dict[int, Path],
) -> None:
    path.mkdir(mode=0o700)
    for name, found in left.get(id(directory), directory.durable).items():
        target = path / name
        if isinstance(found, Directory):
            _materialize(found, target, left, contents, written)
        elif id(found) in written:
            os.link(written[id(found)], target)
        elif found.is_tracked:
            target.write_bytes(contents.of(found))
            written[id(found)] = target


class _Contents:
    def __init__(self, rest: Rest, rng: random.Random) -> None:
        self._rest, self._rng = rest, rng

    def of(self, file: File) -> bytes | bytearray:
        if not file.pending or self._rest is Rest.LOST:
            return file.durable
        content = bytearray(file.durable)
        decide = _Contents._kept if self._rest is Rest.KEPT else self._rng.choice(_DECISIONS)
        for change in decide(self, file.pending):
            apply_change(content, change)
        return content

    def _lost(self, pending: list[Write | Resize]) -> list[Write | Resize]:
        return []

    def _kept(self, pending: list[Write | Resize]) -> list[Write | Resize]:
        return pending

    def _torn(self, pending: list[Write | Resize]) -> list[Write | Resize]:
        """The first changes, and a part of the next one."""
        count = self._rng.randrange(len(pending))
        return [*pending[:count], *self._part(pending[count])]

    def _part(self, change: Write | Resize) -> list[Write | Resize]:
        if isinstance(change, Resize):
            return []
        size = self._rng.randrange(len(change.data) + 1)
        if self._rng.random() < 0.5:  # up to the end of a sector of the file
            size = max(0, (change.offset + size) // SECTOR * SECTOR - change.offset)
        return [Write(change.offset, change.data[:size])]

    def _holes(self, pending: list[Write | Resize]) -> list[Write | Resize]:
        """Each sector as it was after one of the changes, whether early or late. Others may be zeros."""
        parts: dict[int, list[Write]] = {}
        kept: list[Write | Resize] = [change for change in pending if isinstance(change, Resize)]
        for change in pending:
            if isinstance(change, Write):
                for part in _sectors(change):
                    parts.setdefault(part.offset // SECTOR, []).append(part)
        share = self._rng.random()
        for sector in parts.values():
            if self._rng.random() < share:
                kept += sector[: self._rng.randint(1, len(sector))]
        return kept

    def _sizes(self, pending: list[Write | Resize]) -> list[Write | Resize]:
        """The sizes, and zeros in the place of the data."""
        return [
            change if isinstance(change, Resize) else Write(change.offset + len(change.data), b"")
            for change in pending
        ]


_DECISIONS = (_Contents._lost, _Contents._kept, _Contents._torn, _Contents._holes, _Contents._sizes)


def _sectors(change: Write) -> Iterator[Write]:
    at, end = change.offset, change.offset + len(change.data)
    while at < end:
        until = min(end, (at // SECTOR + 1) * SECTOR)
        yield Write(at, change.data[at - change.offset : until - change.offset])
        at = until
