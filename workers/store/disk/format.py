"""The number of the format as a file beside the database, so that a program can refuse it without opening it.

RocksDB writes to the files of a database when it opens them, and a repair by the rules of an older format would drop
what it cannot read. The entry of the database decides; the file says the same before anything is touched.
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

from peatnode.errors import BadConfiguration
from workers.store.disk.durable_files import replace_file

_NAME = "format"


def noted_format(path: Path) -> int:
    """The number in the file; 0 if there is none, as in a store of 0.1, or if the file is damaged."""
    try:
        noted = (path / _NAME).read_bytes()
        number = int(noted.split()[0])
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return 0
    return number if noted == _content(number) else 0


def _content(number: int) -> bytes:
    """The number and its checksum: one damaged byte must not make the store that of a newer program."""
    text = b"%d" % number
    return b"%s %08x\n" % (text, crc32(text))


def check_noted_format(path: Path, newest: int) -> None:
    """Raises BadConfiguration if the store is of a newer format than `newest`, which this program reads."""
    refuse_newer(path, noted_format(path), newest)


def refuse_newer(path: Path, found: int, newest: int) -> None:
    """Raises BadConfiguration if `found` is higher than `newest`."""
    if found > newest:
        raise BadConfiguration(
            f"A newer peatnode wrote the database in {str(path)!r} (format {found}, this one reads {newest}): "
            "run that peatnode, or give this node another PEAT_DATA_DIR."
        )


def note_format(path: Path, number: int) -> None:
    """Writes the file, if it does not hold the number. Raises OSError."""
    if noted_format(path) != number:
        replace_file(path / _NAME, _content(number))
