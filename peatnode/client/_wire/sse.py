"""A decoder of server-sent events (WHATWG HTML, 9.2.6). No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from peatnode.client.errors import UnexpectedAnswer

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line cannot be an event: documents are smaller."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    id: str
    data: str


class SseDecoder:
    """Decodes a response body from chunks, which may end anywhere."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = bytearray()
        self._scanned = 0
        self._data: list[str] = []
        self._id = ""

    def receive_data(self, chunk: bytes) -> Iterator[SseEvent]:
        """The events that end in this chunk. Raises UnexpectedAnswer for a line that is too long."""
        self._rest += chunk
        while (end := self._rest.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._rest[:end]).rstrip(b"\r").decode("utf-8", "replace")
            del self._rest[: end + 1]
            self._scanned = 0
            event = self._take_line(line)
            if event is not None:
                yield event
        self._scanned = len(self._rest)
        if self._scanned > self._max_line_bytes:
            raise UnexpectedAnswer(
                f"a line of the event stream is longer than {self._max_line_bytes} bytes"
            )

    def _take_line(self, line: str) -> SseEvent | None:
        if not line:
            data, self._data = self._data, []
            return SseEvent(self._id, "\n".join(data)) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None
