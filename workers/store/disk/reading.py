"""A directory of links to the files of a database, through which it is read while its own directory takes no files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from peatnode.errors import DISK_ERRORS

_NAME = "reading"
_LEFT_OUT = ("LOCK", "rocksdict-config.json")


def link_files(path: Path, run_dir: Path) -> Path:
    """Makes the directory, anew each time. RocksDB and rocksdict write their own files there.

    It is in the run directory, or in the system's temporary directory if the run directory is on such a disk, too.
    Raises OSError.
    """
    links = run_dir / _NAME
    try:
        shutil.rmtree(links, ignore_errors=True)
        links.mkdir(mode=0o700)
        _fill(links, path)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        links = Path(tempfile.mkdtemp(prefix=f"peatnode-{_NAME}-"))
        _fill(links, path)
    return links


def _fill(links: Path, path: Path) -> None:
    for file in path.resolve().iterdir():
        if file.is_file() and file.name not in _LEFT_OUT and not file.name.startswith("LOG"):
            (links / file.name).symlink_to(file)
