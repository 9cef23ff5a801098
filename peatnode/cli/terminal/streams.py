"""Standard input, output and error: closed streams, a full device, and errors as text."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def open_closed_streams() -> None:
    """Opens closed streams on /dev/null: else their output would go to the next file or socket opened."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def escape_unknown_characters() -> None:
    """Lets the output contain each character that its encoding lacks as in JSON, `\\u20ac`, instead of failing."""
    codecs.register_error(_ESCAPES, _as_escapes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)


_ESCAPES = "peatnode-json-escapes"


def _as_escapes(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def discard_output() -> None:
    """Discards buffered output, which Python would otherwise fail to flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def describe_os_error(error: OSError) -> str:
    """The error as a phrase, with the name of the file if the system reports one."""
    if error.filename:
        return f"{error.filename}: {error.strerror}"
    if error.errno in _OUTPUT_ERRORS:
        return f"the output cannot be written: {error.strerror}"
    return error.strerror or str(error)
