"""The free space of the disk, and the space that the database uses."""

from __future__ import annotations

import os
from pathlib import Path


def free_bytes(path: Path) -> int:
    """Bytes that this user may write; 0 if the disk cannot be asked."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def used_bytes(path: Path) -> int:
    """Bytes on disk of the files in a directory, including RocksDB's logs."""
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_blocks * 512
            except OSError:
                continue
    return total
