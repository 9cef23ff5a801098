"""What a scene wrote: each write is marked in the trace before it is sent, and again when it is acknowledged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from peatnode.documents.yjs.any_value import Json
from tests.support.power.trace import Event, EventKind, Marker

Name = tuple[str, str]
"""Collection and id."""


class LedgerWriter:
    """Sets the marks, in the process that writes."""

    def __init__(self, trace: Path) -> None:
        self._marker = Marker(trace)
        self.marks = 0
        """Those that were set."""

    def phase(self, name: str) -> None:
        """Names what the store does from here on."""
        self._mark("phase", name)

    def opened(self, generation: int) -> None:
        self._mark("opened", generation)

    def sent(self, name: Name, value: Json) -> None:
        """Before a write is sent. None deletes the document."""
        self._mark("sent", *name, value)

    def acknowledged(self, name: Name, value: Json) -> None:
        self._mark("acknowledged", *name, value)

    def _mark(self, *content: Json) -> None:
        self._marker.mark(json.dumps(content).encode())
        self.marks += 1

    def close(self) -> None:
        self._marker.close()


@dataclass(slots=True)
class Ledger:
    """What was sent and acknowledged up to a point of the trace. The writes of one document follow each other."""

    allowed: dict[Name, list[Json]] = field(default_factory=dict)
    """For each document the last acknowledged value, and those that were sent after it."""
    generations: set[int] = field(default_factory=set)
    acknowledged: int = 0

    def add(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.kind is EventKind.MARKED:
                self._add(*json.loads(event.data))

    def _add(self, kind: str, *content: Json) -> None:
        if kind == "opened":
            self.generations.add(int(str(content[0])))
        elif kind in ("sent", "acknowledged"):
            collection, document, value = content
            values = self.allowed.setdefault((str(collection), str(document)), [None])
            if kind == "sent":
                values.append(value)
            else:
                self.acknowledged += 1
                del values[: values.index(value, 1)]

    def lost(self, found: dict[Name, Json]) -> list[Name]:
        """The documents that are not as their last acknowledged write, or a later one, left them."""
        return [name for name, values in self.allowed.items() if found.get(name) not in values]


def is_sent(event: Event) -> bool:
    return event.kind is EventKind.MARKED and json.loads(event.data)[0] == "sent"


def phase_of(event: Event) -> str:
    """The phase that begins with a mark; empty for any other event."""
    if event.kind is not EventKind.MARKED:
        return ""
    kind, *content = json.loads(event.data)
    return str(content[0]) if kind == "phase" else ""
