"""`peatnode import`: writes the lines of a file as documents; it can be resumed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from peatnode.cli.documents.checkpoint import Progress, ProgressFile
from peatnode.cli.documents.import_lines import FileChunk, ImportedFile
from peatnode.cli.documents.source import Documents, refuse_bad_names, run_on
from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_target
from peatnode.cli.target import Target
from peatnode.cli.terminal.output import say
from peatnode.cli.terminal.progress_bar import ProgressBar
from peatnode.client.errors import UnknownOutcome, Unreachable
from peatnode.client.models import ImportedLine
from peatnode.config import LARGEST_BODY_BYTES
from peatnode.model.amounts import plural

MAX_PRINTED = 20
"""Invalid lines that are reported one by one."""

ATTEMPTS = 6
"""To send a chunk whose response is lost. Lines have fixed ids, so repeating them changes nothing."""


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
    the same command resumes it; if FILE has changed meanwhile, it begins again at line 1.
    """
    refuse_bad_names(collection)
    kept = ProgressFile(None if str(file) == "-" else file.with_name(file.name + ".progress"))
    with _opened(file) as source:
        size = None if str(file) == "-" else file.stat().st_size
        opened = ImportedFile(source)
        job = f"import {collection} {target}"
        progress = Progress(job) if restart else _resumed(kept.load(job), opened, file)
        kept = _writable(kept, progress, file)
        written = 0

        async def run(documents: Documents) -> None:
            nonlocal written
            with ProgressBar("import", unit_is_bytes=True) as bar:
                for chunk in opened.chunks(progress.documents + 1):
                    kept.save(_sending(progress, chunk))
                    written += await _write(documents, collection, chunk, progress)
                    _sent(progress, chunk)
                    bar.show(progress.offset, size)
                kept.remove()
                failed = f", {plural(progress.failed, 'line')} failed" if progress.failed else ""
                bar.finish(written, f"written to {collection}{failed}")

        run_on(target, run)
    return Exit.FAILED if progress.failed else Exit.OK


def _writable(kept: ProgressFile, progress: Progress, file: Path) -> ProgressFile:
    """The file of the progress, or one that saves nothing, if that of a read-only folder cannot be written."""
    try:
        kept.save(progress)
    except OSError as error:
        say(
            f"the progress cannot be saved beside {file} ({error.strerror}): "
            "if the import is interrupted, it begins again at line 1",
            err=True,
        )
        return ProgressFile(None)
    return kept


def _resumed(kept: Progress, opened: ImportedFile, file: Path) -> Progress:
    """Where the import begins: behind what an interrupted import has read, if the file still begins with that.

    Raises CliError if lines would be written twice.
    """
    if not kept.sent:
        return kept
    is_same = opened.skip(kept.offset) == kept.digest or not kept.offset
    has_changed = opened.skip(kept.sent - kept.offset) != kept.sent_digest
    unnamed = kept.sent_unnamed - (kept.unnamed if is_same else 0)
    if has_changed and unnamed:
        raise CliError(
            f"{file} has changed since its import was interrupted, and {unnamed:,} lines that may have been "
            "written have no _id: with the changed file, some of them would become another document",
            advice="Put the old file back to resume, or use --restart to write the whole file anyway.",
        )
    opened.rewind()
    if not is_same:
        say(
            f"{file} has changed before line {kept.documents + 1:,}: the import begins again at line 1",
            err=True,
        )
        return Progress(kept.job)
    opened.skip(kept.offset)
    if kept.offset:
        say(f"resuming after line {kept.documents:,}", err=True)
    return kept


def _sending(progress: Progress, chunk: FileChunk) -> Progress:
    """The progress, with the chunk as sent: if the import is interrupted now, its lines may have been written."""
    progress.sent = progress.offset + chunk.size
    progress.sent_digest = chunk.digest
    progress.sent_unnamed = progress.unnamed + chunk.unnamed
    return progress


def _sent(progress: Progress, chunk: FileChunk) -> None:
    progress.offset, progress.digest = progress.sent, progress.sent_digest
    progress.unnamed = progress.sent_unnamed
    progress.documents += len(chunk.lines)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        source = file.open("rb")
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}") from error
    with source:
        yield source


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


async def _write(
    documents: Documents, collection: str, chunk: FileChunk, progress: Progress
) -> int:
    """Writes the lines of a chunk, and reports those that failed. Returns how many were written."""
    answers = [
        ImportedLine(number, "", 413, f"the line is longer than {LARGEST_BODY_BYTES} bytes")
        for number in chunk.too_long
    ]
    answers += await _send(documents, collection, chunk)
    for answer in sorted(answers, key=lambda answer: answer.line):
        _print_failure(answer, progress)
    return sum(answer.is_written for answer in answers)


def _print_failure(answer: ImportedLine, progress: Progress) -> None:
    if answer.is_written or answer.was_absent:
        return
    progress.failed += 1
    if progress.failed <= MAX_PRINTED:
        say(f"line {answer.line:,}: {answer.error}", err=True)
    elif progress.failed == MAX_PRINTED + 1:
        say("More lines failed; they are counted but not printed.", err=True)
