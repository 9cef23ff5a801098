"""The lines of an imported file, in chunks of bounded size, and a hash that tells whether the file has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import orjson

from peatnode.client._wire.bulk import CHUNK_BYTES, CHUNK_LINES
from peatnode.codec.lines import without_mark
from peatnode.config import LARGEST_BODY_BYTES
from peatnode.documents.names import RESERVED_MEMBERS

READ_BYTES = 1024 * 1024


@dataclass(slots=True)
class FileChunk:
    """Lines of the file that are sent together."""

    first_line: int
    lines: list[bytes] = field(default_factory=list)
    """A line that is too long is empty."""
    size: int = 0
    """Bytes of the lines in the file."""
    unnamed: int = 0
    """Number of lines without an `_id`."""
    too_long: list[int] = field(default_factory=list)
    """Numbers of the lines above `LARGEST_BODY_BYTES`."""
    digest: str = ""
    """Of the file from its beginning to the end of this chunk."""

    @property
    def is_full(self) -> bool:
        return len(self.lines) >= CHUNK_LINES or self.size >= CHUNK_BYTES


class ImportedFile:
    """A file whose lines are read in chunks, while all that is read is hashed."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hash = hashlib.blake2b(digest_size=16)

    def skip(self, size: int) -> str:
        """Reads so many bytes, as far as there are any. Returns the digest of all that was read."""
        while size > 0 and (read := self._source.read(min(size, READ_BYTES))):
            self._hash.update(read)
            size -= len(read)
        return self._hash.hexdigest()

    def rewind(self) -> None:
        self._source.seek(0)
        self._hash = hashlib.blake2b(digest_size=16)

    def chunks(self, first_line: int) -> Iterator[FileChunk]:
        """The rest of the file. Blank lines count. `first_line` is the number of the next line."""
        chunk = FileChunk(first_line)
        while (size := self._read_line(chunk)) > 0:
            chunk.size += size
            if chunk.is_full:
                yield self._ended(chunk)
                chunk = FileChunk(chunk.first_line + len(chunk.lines))
        if chunk.lines:
            yield self._ended(chunk)

    def _ended(self, chunk: FileChunk) -> FileChunk:
        chunk.digest = self._hash.hexdigest()
        return chunk

    def _read_line(self, chunk: FileChunk) -> int:
        """Adds the next line. Returns its bytes in the file, 0 at the end."""
        line = part = self._source.readline(LARGEST_BODY_BYTES + 1)
        self._hash.update(part)
        size = len(part)
        while part and not part.endswith(b"\n"):
            part = self._source.readline(READ_BYTES)
            self._hash.update(part)
            size += len(part)
        number = chunk.first_line + len(chunk.lines)
        if len(line) > LARGEST_BODY_BYTES:
            chunk.too_long.append(number)
            chunk.lines.append(b"")
        elif line:
            line = without_mark(line).rstrip(b"\r\n")
            sent = with_fixed_id(line, number)
            chunk.unnamed += sent is not line
            chunk.lines.append(sent)
        return size


def with_fixed_id(line: bytes, number: int) -> bytes:
    """The line with an `_id` that is the same in each run; the line itself if it has one, or is no document."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    if not isinstance(value, dict) or any(name in value for name in RESERVED_MEMBERS):
        return line
    digest = hashlib.blake2b(b"%d %b" % (number, line), digest_size=15).hexdigest().encode()
    # the rest is copied, not encoded again: a number out of range must reach the node, which refuses it
    rest = line.lstrip()[1:].lstrip()
    return b'{"_id":"%b"%b%b' % (digest, b"," if value else b"", rest)
