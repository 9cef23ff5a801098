"""The records of RocksDB's logs, read to tell a write that was interrupted from damage.

A log is a sequence of blocks of 32 KiB. A record lies in one block, or is split into a first, middle and last part.
Each part has a header: masked CRC-32C of what follows the length (4 bytes), length (2 bytes, little-endian) and kind.
A record is a write batch, which begins with the sequence of its first write (8 bytes) and their number (4 bytes).
RocksDB begins a log with an empty one when it has dropped a torn end.
Source: RocksDB, db/log_format.h, db/write_batch.cc, util/crc32c.h.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

BLOCK_BYTES = 32 * 1024

_HEADER = struct.Struct("<IHB")
_BATCH = struct.Struct("<QI")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
KINDS = (_FULL, _FIRST, _MIDDLE, _LAST)
_STARTS = (_FULL, _FIRST)
BROKEN = 0
"""No part, but the place of a header that cannot be right."""
KIND_AT = 6
"""Where a header has its kind."""
_LOW_BITS = 24
"""A search looks for the higher bits of a sequence."""


def log_names(names: Iterable[str]) -> list[str]:
    """The names of logs, in the order of their numbers."""
    return sorted((name for name in names if name.endswith(".log")), key=by_number)


def by_number(name: str) -> tuple[int, str]:
    """Sorts RocksDB's files by their numbers, which have six digits, and more from the millionth on."""
    return len(name), name


def is_torn_end(path: Path, sequence: int) -> bool:
    """Whether the damage of the logs is one write at their end: no other record begins after it. Raises OSError.

    `sequence` is that of the last write that RocksDB reads before the damage. A write begins only after the previous
    one is synced. So a power cut tears the last one, and a record after the damage was synced after it.
    """
    is_found = False
    for name in log_names(os.listdir(path)):
        content = (path / name).read_bytes()
        start = 0
        if not is_found:
            damage = _place_after(content, sequence)
            if damage is None:
                continue
            is_found, start = True, damage + 1
        if _has_start(content, start, sequence):
            return False
    return True


def _place_after(content: bytes, sequence: int) -> int | None:
    """Where the first record after `sequence` begins, or a header cannot be right; None if all records are older."""
    expected = -1
    for pos, kind, part in parts(content):
        if kind == BROKEN or (kind in _STARTS and len(part) < _BATCH.size):
            return pos
        if kind in _STARTS:
            first, count = _BATCH.unpack_from(part)
            if count and (first > sequence or expected not in (-1, first)):
                return pos
            expected = first + count if count else expected
    return None


def parts(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(position, kind, content) of each part; last, where a header cannot be right, one of the kind BROKEN.

    Checksums are not verified.
    """
    pos = 0
    while pos < len(content):
        room = BLOCK_BYTES - pos % BLOCK_BYTES
        if room < _HEADER.size:
            pos += room
            continue
        if len(content) - pos < _HEADER.size:
            yield pos, BROKEN, b""
            return
        _, length, kind = _HEADER.unpack_from(content, pos)
        end = pos + _HEADER.size + length
        if not _FULL <= kind <= _LAST or _HEADER.size + length > room or end > len(content):
            yield pos, BROKEN, b""
            return
        yield pos, kind, content[pos + _HEADER.size : end]
        pos = end


def _has_start(content: bytes, start: int, sequence: int) -> bool:
    """Whether a record after `sequence` begins at `start` or later. Its first part must be whole."""
    high = sequence >> _LOW_BITS
    bits = b"|".join(
        re.escape(number.to_bytes(8 - _LOW_BITS // 8, "little")) for number in (high, high + 1)
    )
    pattern = re.compile(rb"[\1\2](?=.{%d}(?:%b))" % (_LOW_BITS // 8, bits), re.DOTALL)
    return any(
        _is_start(content, found.start() - KIND_AT, sequence)
        for found in pattern.finditer(content, start + KIND_AT)
    )


def _is_start(content: bytes, pos: int, sequence: int) -> bool:
    _, length, _ = _HEADER.unpack_from(content, pos)
    end = pos + _HEADER.size + length
    room = BLOCK_BYTES - pos % BLOCK_BYTES
    if length < _BATCH.size or end > len(content) or _HEADER.size + length > room:
        return False
    first, count = _BATCH.unpack_from(content, pos + _HEADER.size)
    return bool(count and first > sequence and has_checksum(content, pos))


def has_checksum(content: bytes | bytearray, pos: int) -> bool:
    """Whether the checksum of the part that begins at `pos` is right."""
    checksum, length, _ = _HEADER.unpack_from(content, pos)
    end = pos + _HEADER.size + length
    return bool(_masked_crc(content[pos + KIND_AT : end]) == checksum)


# --- the list of tables, which has the same form


_LOG_NUMBER, _OLDEST_LOG = 2, 10
_NUMBERS = (_LOG_NUMBER, 3, 4, 9, _OLDEST_LOG, 200, 203)
_COMPARATOR = 1
"""Tags of an entry of the MANIFEST (RocksDB, db/version_edit.h). Those with the numbers of logs come before others."""


def oldest_log(manifest: bytes) -> int:
    """The number of the oldest log that is not in tables yet, by the entries of a MANIFEST."""
    return max(map(_oldest_log, _whole_records(manifest)), default=0)


def _oldest_log(entry: bytes) -> int:
    pos, found = 0, 0
    while pos < len(entry):
        tag, pos = _varint(entry, pos)
        if tag not in (*_NUMBERS, _COMPARATOR):
            break
        number, pos = _varint(entry, pos)
        if tag == _COMPARATOR:
            pos += number
        elif tag in (_LOG_NUMBER, _OLDEST_LOG):
            found = max(found, number)
    return found


def _varint(data: bytes, pos: int) -> tuple[int, int]:
    value = shift = 0
    while pos < len(data):
        value |= (data[pos] & 0x7F) << shift
        pos += 1
        if data[pos - 1] < 0x80:
            break
        shift += 7
    return value, pos


def _whole_records(content: bytes) -> Iterator[bytes]:
    """The records, up to the first header that cannot be right."""
    record = b""
    for _, kind, part in parts(content):
        record = part if kind in _STARTS else record + part
        if kind in (_FULL, _LAST):
            yield record


def _crc_table() -> list[int]:
    """The CRC-32C of each byte, least significant bit first."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def _masked_crc(data: bytes | bytearray) -> int:
    """RocksDB's checksum: CRC-32C, rotated and moved, so that the checksum of a checksum is no weak one."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
