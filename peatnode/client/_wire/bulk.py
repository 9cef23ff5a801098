"""Documents as lines of NDJSON, in requests of bounded size. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from peatnode.client._wire.requests import NodeRequest, collection_path, encode
from peatnode.client._wire.responses import NodeResponse, imported_line, listed_document
from peatnode.client.errors import UnexpectedAnswer
from peatnode.client.models import Deleted, Document, ImportedLine

CHUNK_LINES = 1000
CHUNK_BYTES = 1024 * 1024
"""A chunk ends at the first of the two limits, so that a lost response costs little to repeat."""


@dataclass(frozen=True, slots=True)
class ImportChunk:
    """The lines of one request of an import."""

    first_line: int
    """Its number in the whole import, from 1."""
    lines: tuple[bytes, ...]


def chunks_of(lines: Iterable[bytes], chunk_lines: int = CHUNK_LINES) -> Iterator[ImportChunk]:
    """Groups lines into requests."""
    first, held, size = 1, list[bytes](), 0
    for number, line in enumerate(lines, 1):
        if held and (len(held) >= chunk_lines or size + len(line) > CHUNK_BYTES):
            yield ImportChunk(first, tuple(held))
            first, held, size = number, [], 0
        held.append(line)
        size += len(line) + 1
    if held:
        yield ImportChunk(first, tuple(held))


def line_of(document: Mapping[str, Any] | bytes) -> bytes:
    """One line of NDJSON. Of bytes, which are JSON, only line feeds change: there is none inside of a text."""
    if not isinstance(document, bytes):
        return encode(document)
    return document.rstrip(b"\r\n").replace(b"\n", b" ")


def import_chunk(collection: str, chunk: ImportChunk) -> NodeRequest[tuple[ImportedLine, ...]]:
    def read(response: NodeResponse) -> tuple[ImportedLine, ...]:
        return tuple(
            imported_line(decode_line(line), chunk.first_line)
            for line in response.body.split(b"\n")
            if line
        )

    return NodeRequest(
        "POST",
        collection_path(collection),
        read,
        (("bulk", "true"),),
        (("Content-Type", "application/x-ndjson"),),
        b"".join(line + b"\n" for line in chunk.lines),
        extra_seconds=120.0,
    )


def exported_document(collection: str, line: bytes) -> Document | Deleted:
    content = decode_line(line)
    document = listed_document(collection, content)
    if content == {"_deleted": True}:
        return Deleted(collection, document.id)
    return document


def decode_line(line: bytes | str) -> dict[str, Any]:
    """The JSON object in a line of a response. Raises UnexpectedAnswer."""
    try:
        content = json.loads(line)
    except ValueError:
        raise UnexpectedAnswer("a line of the response is not JSON") from None
    if not isinstance(content, dict):
        raise UnexpectedAnswer("a line of the response is not a JSON object")
    return content
