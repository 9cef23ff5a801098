"""The free space and inodes of the disk, and the space that the database uses."""

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


def free_inodes(path: Path) -> int | None:
    """Files that this user may create; None if the file system has no such limit, or cannot be asked."""
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_favail if found.f_files else None


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
