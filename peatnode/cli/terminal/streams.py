"""Standard input, output and error, also where somebody has closed them or filled them up."""

from __future__ import annotations

import errno
import os
import sys

_OF_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def open_missing() -> None:
    """A closed one would be given to the next file or socket that is opened, and stray output would end up in that."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def discard_output() -> None:
    """What is still to be written goes nowhere; Python would complain once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def what_failed(error: OSError) -> str:
    """In words, with the file's name where the system says one."""
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    if error.errno in _OF_OUTPUT:
        return f"the output cannot be written: {error.strerror}"
    return error.strerror or str(error)
