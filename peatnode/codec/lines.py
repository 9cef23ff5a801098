"""Splits a stream of bytes into lines, and removes the mark that some editors put before a text."""

from __future__ import annotations

_MARK = b"\xef\xbb\xbf"
"""The byte order mark in UTF-8. A parser of JSON may ignore it (RFC 8259, 8.1)."""


def without_mark(text: bytes) -> bytes:
    """The text without a byte order mark at its beginning."""
    return text.removeprefix(_MARK)


class LineBuffer:
    """Lines of a stream that arrives in parts. Only a line feed ends a line: JSON can contain all other separators.

    Of a longer line than `max_bytes` it keeps one byte beyond the limit, which shows that. A line inside one part
    is given whole: the part has it in memory already.
    """

    __slots__ = ("_keep", "_parts", "size")

    def __init__(self, max_bytes: int) -> None:
        self._keep = max_bytes + 1
        self._parts: list[bytes] = []
        self.size = 0
        """Bytes of the line that has not ended yet, as far as they are kept."""

    def receive(self, part: bytes) -> list[bytes]:
        """The lines that end in this part, without their line feed."""
        first, *others = part.split(b"\n")
        self._hold(first)
        if not others:
            return []
        lines = [self.rest(), *others[:-1]]
        self._hold(others[-1])
        return lines

    def rest(self) -> bytes:
        """Takes out what has no line feed yet: the last line, when the stream is over."""
        line = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return line

    def _hold(self, piece: bytes) -> None:
        piece = piece[: self._keep - self.size]
        if piece:
            self._parts.append(piece)
            self.size += len(piece)
