"""Files and names that a power cut does not take: each function returns when they are on disk. All raise OSError."""

from __future__ import annotations

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    """Brings the content of a file to the disk."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(file)
    finally:
        os.close(file)


def sync_directory(path: Path) -> None:
    """Brings the names in a directory to the disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file in the place of an older one, if there is one. At any moment one of both is whole."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    sync_directory(path.parent)
