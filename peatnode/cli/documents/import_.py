"""`peatnode import`: writes the lines of a file as documents; it can be resumed."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click
import orjson

from peatnode.cli.documents.checkpoint import Progress, ProgressFile
from peatnode.cli.documents.source import Documents, run_on
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_target
from peatnode.cli.target import Target
from peatnode.cli.terminal.progress_bar import ProgressBar
from peatnode.client._wire.bulk import CHUNK_BYTES, CHUNK_LINES
from peatnode.client.errors import UnknownOutcome, Unreachable
from peatnode.client.models import ImportedLine
from peatnode.documents.names import RESERVED_MEMBERS

MAX_PRINTED = 20
"""Invalid lines that are reported one by one."""

ATTEMPTS = 6
"""To send a chunk whose response is lost. Lines have fixed ids, so repeating them changes nothing."""


@dataclass(slots=True)
class FileChunk:
    """Lines of the file that are sent together."""

    first_line: int
    lines: list[bytes]
    size: int


@click.command("import")
@click.argument("collection")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--restart",
    is_flag=True,
    help="Begin at the first line even if an earlier import was interrupted.",
)
@with_target
def import_(target: Target, collection: str, file: Path, restart: bool) -> int:
    """Write each line of FILE (- for standard input) as a document: a JSON object with its id in _id.

    A line without _id gets an id made from its line number and content. {"_id": …, "_deleted": true}
    deletes. An invalid line is reported, and the other lines are written. If the import is interrupted,
    the same command resumes it.
    """
    kept = ProgressFile(None if str(file) == "-" else file.with_name(file.name + ".progress"))
    with _opened(file) as source:
        size = None if str(file) == "-" else file.stat().st_size
        job = f"import {collection} {target} {size}"
        progress = Progress(job) if restart else kept.load(job)
        if progress.offset:
            click.echo(f"resuming after line {progress.documents:,}", err=True)
            source.seek(progress.offset)
        written = 0

        async def run(documents: Documents) -> None:
            nonlocal written
            with ProgressBar("import", unit_is_bytes=True) as bar:
                for chunk in read_chunks(source, progress.documents + 1):
                    answers = await _send(documents, collection, chunk)
                    for answer in answers:
                        written += answer.is_written
                        _print_failure(answer, progress)
                    progress.offset += chunk.size
                    progress.documents += len(chunk.lines)
                    kept.save(progress)
                    bar.show(progress.offset, size)
                kept.remove()
                failed = f", {progress.failed:,} lines failed" if progress.failed else ""
                bar.finish(written, f"written to {collection}{failed}")

        run_on(target, run)
    return Exit.FAILED if progress.failed else Exit.OK


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise click.FileError(str(file), error.strerror) from error
    with source:
        yield source


def read_chunks(source: BinaryIO, first_line: int) -> Iterator[FileChunk]:
    """Reads the file in chunks. Blank lines count."""
    chunk = FileChunk(first_line, [], 0)
    for line in source:
        if chunk.lines and (len(chunk.lines) >= CHUNK_LINES or chunk.size >= CHUNK_BYTES):
            yield chunk
            chunk = FileChunk(chunk.first_line + len(chunk.lines), [], 0)
        chunk.size += len(line)
        number = chunk.first_line + len(chunk.lines)
        chunk.lines.append(with_fixed_id(line.rstrip(b"\r\n"), number))
    if chunk.lines:
        yield chunk


def with_fixed_id(line: bytes, number: int) -> bytes:
    """The line with an `_id` that is the same in each run. A line that is not an object stays as it is."""
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


async def _send(documents: Documents, collection: str, chunk: FileChunk) -> list[ImportedLine]:
    attempt = 1
    while True:
        try:
            return await documents.import_lines(collection, chunk.first_line, chunk.lines)
        except (UnknownOutcome, Unreachable):
            if attempt == ATTEMPTS:
                raise
        await asyncio.sleep(0.25 * 2**attempt)
        attempt += 1


def _print_failure(answer: ImportedLine, progress: Progress) -> None:
    if answer.is_written or answer.was_absent:
        return
    progress.failed += 1
    if progress.failed <= MAX_PRINTED:
        click.echo(f"line {answer.line:,}: {answer.error}", err=True)
    elif progress.failed == MAX_PRINTED + 1:
        click.echo("More lines failed; they are counted but not printed.", err=True)
