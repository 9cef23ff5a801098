"""The records of RocksDB's logs, found by their headers alone.

A log is a sequence of blocks of 32 KiB. A record lies in one block, or is split into a first, middle and last part.
Each part has a header: checksum (4 bytes), length (2 bytes, little-endian) and kind.
Source: RocksDB, db/log_format.h and https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log-File-Format.
"""

from __future__ import annotations

import struct
from pathlib import Path

BLOCK_BYTES = 32 * 1024

_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_STARTS, _ENDS = (_FULL, _FIRST), (_FULL, _LAST)


def whole_bytes(content: bytes) -> int:
    """The end of the last record that is whole. Checksums are not verified, because RocksDB does that."""
    pos = whole = 0
    is_inside = False
    while pos < len(content):
        room = BLOCK_BYTES - pos % BLOCK_BYTES
        if room < _HEADER.size:
            if any(content[pos : pos + room]) or len(content) < pos + room:
                break
            pos += room
            continue
        if len(content) - pos < _HEADER.size:
            break
        _, length, kind = _HEADER.unpack_from(content, pos)
        end = pos + _HEADER.size + length
        is_expected = kind in ((_MIDDLE, _LAST) if is_inside else _STARTS)
        if not is_expected or _HEADER.size + length > room or end > len(content):
            break
        pos = end
        is_inside = kind not in _ENDS
        if not is_inside:
            whole = pos
    return whole


def is_torn_inside(path: Path) -> bool:
    """Whether a log of a closed database lacks its end, and a later log has records. Raises OSError.

    Then later batches would be applied without earlier ones, so that entries which belong together can differ.
    """
    logs = sorted(path.glob("*.log"), key=lambda log: (len(log.name), log.name))
    is_torn = False
    for log in logs:
        content = log.read_bytes()
        if is_torn and content:
            return True
        is_torn = is_torn or whole_bytes(content) < len(content)
    return False
