"""Free and used space of the disk."""

from __future__ import annotations

import os
from pathlib import Path


def free_bytes(path: Path) -> int:
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def used_bytes(path: Path) -> int:
    """On disk, including RocksDB's logs."""
    total = 0
    with os.scandir(path) as entries:
        for entry in entries:
            try:
                total += entry.stat().st_blocks * 512
            except OSError:
                continue
    return total
