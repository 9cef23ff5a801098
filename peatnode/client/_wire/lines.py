"""Lines of a response that is read while it arrives. No I/O."""

from __future__ import annotations

from collections.abc import Iterator

from peatnode.client.errors import UnexpectedAnswer
from peatnode.codec.lines import LineBuffer

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line cannot be a document or an event: documents are smaller."""


class LineDecoder:
    """Decodes a response body from chunks, which may end anywhere."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_line_bytes
        self._buffer = LineBuffer(max_line_bytes)

    def receive_data(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that end in this chunk. Raises UnexpectedAnswer for a line that is too long."""
        yield from self._buffer.receive(chunk)
        if self._buffer.size > self._max_bytes:
            raise UnexpectedAnswer(f"a line of the response is longer than {self._max_bytes} bytes")

    def rest(self) -> bytes:
        """The last line, if it has no end."""
        return self._buffer.rest()
