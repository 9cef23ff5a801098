"""A directory of links to the files of a database, through which it is read while its own directory takes no files."""

from __future__ import annotations

import shutil
from pathlib import Path

_NAME = "reading"
_LEFT_OUT = ("LOCK", "rocksdict-config.json")


def link_files(path: Path, run_dir: Path) -> Path:
    """Makes the directory in `run_dir`, anew each time. RocksDB and rocksdict write their own files there.

    Raises OSError.
    """
    links = run_dir / _NAME
    shutil.rmtree(links, ignore_errors=True)
    links.mkdir(mode=0o700)
    for file in path.resolve().iterdir():
        if file.is_file() and file.name not in _LEFT_OUT and not file.name.startswith("LOG"):
            (links / file.name).symlink_to(file)
    return links


def remove_links(run_dir: Path) -> None:
    """Removes the directory, whose database is closed, or left behind by a process that was killed."""
    shutil.rmtree(run_dir / _NAME, ignore_errors=True)
