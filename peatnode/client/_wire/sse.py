"""A decoder of server-sent events (WHATWG HTML, 9.2.6). No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from peatnode.client._wire.lines import MAX_LINE_BYTES, LineDecoder


@dataclass(frozen=True, slots=True)
class SseEvent:
    id: str
    data: str


class SseDecoder:
    """Decodes a response body from chunks, which may end anywhere."""

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._lines = LineDecoder(max_line_bytes)
        self._data: list[str] = []
        self._id = ""

    def receive_data(self, chunk: bytes) -> Iterator[SseEvent]:
        """The events that end in this chunk. Raises UnexpectedAnswer for a line that is too long."""
        for line in self._lines.receive_data(chunk):
            event = self._take_line(line.rstrip(b"\r").decode("utf-8", "replace"))
            if event is not None:
                yield event

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
