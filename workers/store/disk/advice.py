"""What operators are told about a disk that refuses writes: why, and what to do."""

from __future__ import annotations

from pathlib import Path

from workers.store.disk.database import StorageFailed
from workers.store.disk.space import free_bytes, free_inodes

ADVICE_FULL = (
    "Free some space in PEAT_DATA_DIR, or enlarge its volume. Writes resume without a restart."
)
ADVICE_INODES = (
    "The file system has free space, but no free inodes (df -i shows them): remove files from it, or give "
    "PEAT_DATA_DIR a file system with more inodes. Writes resume without a restart."
)
ADVICE_READ_ONLY = (
    "Reads go on. If the file system of PEAT_DATA_DIR is read-only on purpose, mount it writable; if the kernel has "
    "made it read-only after an error (its log says so), check the disk first. Writes resume without a restart."
)
ADVICE_DISK = (
    "Check the disk of PEAT_DATA_DIR and the kernel's log. The node resumes when the disk is healthy. "
    "If the disk is lost: stop the node, give it another disk and start it, and the peers send the documents."
)


def reason_of(error: StorageFailed, path: Path) -> str:
    """Why the disk refuses writes, in one phrase."""
    if error.is_full:
        return "no inodes are left on the disk" if _lacks_inodes(path) else "the disk is full"
    return "the disk is read-only" if error.is_read_only else str(error)


def advice_of(error: StorageFailed, path: Path) -> str:
    """What the operator can do about it."""
    if error.is_full:
        return ADVICE_INODES if _lacks_inodes(path) else ADVICE_FULL
    return ADVICE_READ_ONLY if error.is_read_only else ADVICE_DISK


def _lacks_inodes(path: Path) -> bool:
    """ENOSPC has two causes. A file system without a table of inodes (btrfs) reports none, and never lacks them."""
    return free_inodes(path) == 0 and free_bytes(path) > 0
