"""The directories of a node: the lock on that of its data, and the one of its sockets.

A disk that takes no writes at the start does not keep a node from answering reads: the lock is taken on what is
there, and the sockets are put elsewhere.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from peatnode.config import Config, run_dir_choices
from peatnode.errors import DISK_ERRORS, BadConfiguration

_ROOM_BYTES = 256 * 1024
"""Free space that the run directory needs: marks of the engine, counters of the broker's processes."""


# --- the data directory


def lock_data_dir(data_dir: Path) -> int:
    """Creates the directory if it is missing, and returns the descriptor of its lock.
    Raises BadConfiguration."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        return _lock_unwritable(data_dir, error)
    _lock(lock, data_dir)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        if not _may_serve_reads(data_dir, error):
            os.close(lock)
            raise BadConfiguration(
                f"PEAT_DATA_DIR={str(data_dir)!r} cannot be written: {error.strerror}. "
                "Free space on that file system."
            ) from None
    return lock


def _lock_unwritable(data_dir: Path, why: OSError) -> int:
    """Locks a directory that takes no files: its old lock file, or the directory itself. Raises BadConfiguration."""
    if not _may_serve_reads(data_dir, why):
        raise BadConfiguration(
            f"PEAT_DATA_DIR={str(data_dir)!r} cannot be written: {why.strerror}. "
            "Set a directory that this user may write to, or mount the volume writable."
        ) from None
    file = data_dir / "lock"
    lock = os.open(file if file.exists() else data_dir, os.O_RDONLY | os.O_CLOEXEC)
    _lock(lock, data_dir)
    return lock


def _may_serve_reads(data_dir: Path, why: OSError) -> bool:
    """Whether the disk may take writes later, and has something to read. The store decides if it is a database."""
    return why.errno in DISK_ERRORS and any(data_dir.glob("store*"))


def _lock(lock: int, data_dir: Path) -> None:
    """Takes the lock. Raises BadConfiguration, and closes it, if another node has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = _holder(lock)
        os.close(lock)
        raise BadConfiguration(
            f"PEAT_DATA_DIR={str(data_dir)!r} is in use by another node (process {holder}): "
            "stop that node, or set another directory for this one."
        ) from None


def _holder(lock: int) -> str:
    try:
        return os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
    except OSError:  # it is the directory itself
        return "unknown"


# --- the run directory


def settle_run_dir(config: Config) -> Path:
    """The directory for the sockets, which exists afterwards: the configured one, or by default the first that
    takes files. Raises BadConfiguration."""
    choices = run_dir_choices(config.data_dir)
    run_dir = config.run_dir
    if run_dir in choices:
        run_dir = next((choice for choice in choices[:-1] if _takes_files(choice)), choices[-1])
    make_run_dir(run_dir)
    return run_dir


def _takes_files(run_dir: Path) -> bool:
    """False if the disk refuses them. Other errors are those of `make_run_dir`."""
    probe = run_dir / "probe"
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, _ROOM_BYTES)
        finally:
            os.close(file)
            probe.unlink()
    except OSError as error:
        return error.errno not in DISK_ERRORS
    return True


def make_run_dir(run_dir: Path) -> None:
    """Creates the directory of the Unix sockets with mode 0700.
    Raises BadConfiguration if it belongs to another user."""
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if run_dir.is_symlink():  # in /tmp another user could have created it
            raise BadConfiguration(
                f"PEAT_RUN_DIR={str(run_dir)!r} is a symbolic link: set the directory itself."
            )
        owner = run_dir.stat().st_uid
        if owner not in (os.getuid(), 0):
            raise BadConfiguration(
                f"PEAT_RUN_DIR={str(run_dir)!r} belongs to user {owner}: remove it or set another directory."
            )
        if owner == os.getuid():
            run_dir.chmod(0o700)
    except OSError as error:
        raise BadConfiguration(
            f"PEAT_RUN_DIR={str(run_dir)!r} cannot be created: {error.strerror}. "
            "Set a directory that this user may write to."
        ) from None
