"""Damage on which RocksDB never stops reading, and its correction before RocksDB opens the files.

Some kinds of records exist only in logs whose file is used again, which this store does not ask for. When RocksDB 10
meets one after another kind, it reads the same record again for ever, with the interpreter's lock held. One flipped
bit makes such a kind of an ordinary one. The checksum covers the kind, so it tells which one is right. If none is, that
of a whole record takes its place, and RocksDB reports a wrong checksum, as for any other damage.
Source: RocksDB, db/log_reader.cc.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from workers.store.disk.log.records import (
    BLOCK_BYTES,
    BROKEN,
    KIND_AT,
    KINDS,
    has_checksum,
    parts,
)

_RECYCLED = frozenset(bytes((kind,)) for kind in (5, 6, 7, 8, 11))


def correct_kinds(path: Path) -> str:
    """Corrects the files of a closed database. Returns the damage; empty if there was none. Raises OSError."""
    damage = ""
    for file in _files(path):
        for start, block in _blocks(file):
            while (place := _recycled_at(block)) >= 0:
                block = _corrected(block, place)
                _write_byte(file, start + place + KIND_AT, block[place + KIND_AT])
                damage = (
                    f"a record of {file.name} had a kind that is not used (at byte {start + place})"
                )
    return damage


def has_recycled(path: Path) -> bool:
    """Whether `correct_kinds` would change a file. Raises OSError."""
    return any(_recycled_at(block) >= 0 for file in _files(path) for _, block in _blocks(file))


def _files(path: Path) -> list[Path]:
    return [*sorted(path.glob("MANIFEST-*")), *sorted(path.glob("*.log"))]


def _blocks(file: Path) -> Iterator[tuple[int, bytes]]:
    content = file.read_bytes()
    for start in range(0, len(content), BLOCK_BYTES):
        yield start, content[start : start + BLOCK_BYTES]


def _recycled_at(block: bytes) -> int:
    """Where RocksDB reads a record of such a kind in this block; -1: nowhere.

    It leaves a block at its first record that cannot be right.
    """
    read = [*parts(block)]
    place, kind, _ = read[-1]
    if kind != BROKEN or block[place + KIND_AT : place + KIND_AT + 1] not in _RECYCLED:
        return -1
    return place if all(has_checksum(block, pos) for pos, _, _ in read[:-1]) else -1


def _corrected(block: bytes, place: int) -> bytes:
    """The block with the kind that the checksum confirms; if there is none, with that of a whole record."""
    candidates = [
        block[: place + KIND_AT] + bytes((kind,)) + block[place + KIND_AT + 1 :] for kind in KINDS
    ]
    return next((block for block in candidates if has_checksum(block, place)), candidates[0])


def _write_byte(file: Path, place: int, value: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes((value,)), place)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
