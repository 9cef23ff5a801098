"""The directories beside the store's: a new database is made in one of them, and takes the place of the old one.

Nothing here changes the files of the store before the new ones are complete, so that a power cut at any point leaves
one of both.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.store.disk.durable_files import sync_directory

FRESH, LINKS = "store.mending", "store.links"
"""A new database, and links to the files of a damaged one."""
_DAMAGED = "store.damaged"


def make_directory(path: Path) -> None:
    """Makes the directory of the store, and brings its name to the disk, also after an opening that was interrupted.

    Raises OSError.
    """
    missing = [parent for parent in path.parents if not parent.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for directory in (path, *missing):
        sync_directory(directory.parent)


def exchange(path: Path) -> None:
    """Puts the new database, which is complete and closed, in the place of the damaged one."""
    sync_directory(path.with_name(FRESH))
    sync_directory(path.parent)
    path.rename(path.with_name(_DAMAGED))
    finish_exchange(path)


def finish_exchange(path: Path) -> None:
    """Replaces the damaged files by the new ones. It completes an exchange that was interrupted at any point."""
    fresh, damaged = path.with_name(FRESH), path.with_name(_DAMAGED)
    if damaged.exists():
        if not path.exists():
            (fresh if fresh.exists() else damaged).rename(path)
        sync_directory(path.parent)
        shutil.rmtree(damaged, ignore_errors=True)
    for leftover in (fresh, path.with_name(LINKS)):
        shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds RocksDB's lock while only links to the files are open. Raises BlockingIOError if another process has it."""
    lock = os.open(path / "LOCK", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


@contextmanager
def other_directory(path: Path, name: str) -> Iterator[Path]:
    """A new directory beside the store, which is removed at the end if it still exists."""
    directory = path.with_name(name)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def hard_link_files(path: Path, into: Path, but: Iterable[str] = ()) -> None:
    """Links the files of the database. RocksDB does not write to files that exist when it starts, but for these.

    The files of options are left out, because RocksDB writes others, and damage in them stops a repair.
    """
    left_out = ("LOCK", "LOG", "rocksdict-config.json", *but)
    for file in path.iterdir():
        if file.is_file() and file.name not in left_out and not file.name.startswith("OPTIONS-"):
            os.link(file, into / file.name)
