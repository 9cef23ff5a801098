"""Damage on which RocksDB never stops reading, and its correction before RocksDB opens the files.

Some kinds of records exist only in logs whose file is used again, which this store does not ask for. When RocksDB 10
meets one after another kind, it reads the same record again for ever, with the interpreter's lock held. One flipped
bit makes such a kind of an ordinary one. The checksum covers the kind, so it tells which one is right. If none is, that
of a whole record takes its place, and RocksDB reports a wrong checksum, as for any other damage.
Source: RocksDB, db/log_reader.cc.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from workers.store.disk.log.records import BLOCK_BYTES, has_checksum

_RECYCLED = frozenset((5, 6, 7, 8, 11))
_FULL = 1
_KINDS = range(_FULL, 5)
_HEADER = struct.Struct("<IHB")
_KIND_AT = 6


def correct_kinds(path: Path) -> str:
    """Corrects the files of a closed database. Returns the damage; empty if there was none. Raises OSError."""
    damage = ""
    for file in _files(path):
        content = bytearray(file.read_bytes())
        for place in _corrected(content):
            _write_byte(file, place + _KIND_AT, content[place + _KIND_AT])
            damage = f"a record of {file.name} had a kind that is not used (at byte {place})"
    return damage


def has_recycled(path: Path) -> bool:
    """Whether `correct_kinds` would change a file. Raises OSError."""
    return any(_corrected(bytearray(file.read_bytes())) for file in _files(path))


def _files(path: Path) -> list[Path]:
    return [*sorted(path.glob("MANIFEST-*")), *sorted(path.glob("*.log"))]


def _corrected(content: bytearray) -> list[int]:
    """Corrects the records that RocksDB reaches. Returns where they begin."""
    places = []
    for start in range(0, len(content), BLOCK_BYTES):
        places += _corrected_block(content, start, min(start + BLOCK_BYTES, len(content)))
    return places


def _corrected_block(content: bytearray, start: int, end: int) -> list[int]:
    """RocksDB leaves a block at its first record that cannot be right."""
    places: list[int] = []
    sound_until = pos = start
    while end - pos >= _HEADER.size:
        _, length, kind = _HEADER.unpack_from(content, pos)
        after = pos + _HEADER.size + length
        if kind in _RECYCLED:
            if not _are_sound(content, sound_until, pos):
                break
            content[pos + _KIND_AT] = _kind_of(content, pos, after)
            places.append(pos)
            sound_until = pos
        if after > end or not (length or kind):
            break
        pos = after
    return places


def _are_sound(content: bytearray, start: int, end: int) -> bool:
    """Whether the checksums of the records from `start` to `end` are right."""
    pos = start
    while pos < end:
        after = pos + _HEADER.size + _HEADER.unpack_from(content, pos)[1]
        if not has_checksum(content, pos, after):
            return False
        pos = after
    return True


def _kind_of(content: bytearray, pos: int, end: int) -> int:
    """The kind that the checksum confirms; if there is none, the kind of a whole record."""
    part = bytearray(content[pos:end])
    for kind in _KINDS:
        part[_KIND_AT] = kind
        if has_checksum(part, 0, len(part)):
            return kind
    return _FULL


def _write_byte(file: Path, place: int, value: int) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes((value,)), place)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
