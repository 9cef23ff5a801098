"""`peatnode export`: writes a collection to a file, page by page; it can be resumed."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click

from peatnode.cli.documents.checkpoint import Progress, ProgressFile
from peatnode.cli.documents.formatting import exported_line, listed_line
from peatnode.cli.documents.source import Documents, refuse_bad_names, run_on
from peatnode.cli.errors import CliError
from peatnode.cli.options import with_target
from peatnode.cli.target import Target
from peatnode.cli.terminal.output import say
from peatnode.cli.terminal.progress_bar import ProgressBar
from peatnode.client._wire.requests import ListQuery

PAGE_DOCUMENTS = 1000


@click.command()
@click.argument("collection")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True))
@click.option("--prefix", default="", help="Only ids with this prefix.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@with_target
def export(target: Target, collection: str, file: Path, prefix: str, force: bool) -> None:
    """Write a collection to FILE (- for standard output), one JSON document per line with its id as _id.

    FILE.part contains the export until it is complete. If the export is interrupted, the same command
    resumes it. Each page is the state at the moment when it was read.
    """
    refuse_bad_names(collection)
    if str(file) == "-":

        async def to_stdout(documents: Documents) -> None:
            with ProgressBar("export") as bar:
                progress = Progress("")
                await _export(
                    documents,
                    collection,
                    prefix,
                    sys.stdout.buffer,
                    progress,
                    ProgressFile(None),
                    bar,
                )
                bar.finish(progress.documents, f"exported from {collection}")

        run_on(target, to_stdout)
        return
    if file.exists() and not force:
        raise CliError(
            f"{file} already exists and was not changed", advice="Use --force to replace it."
        )
    part = file.with_name(file.name + ".part")
    kept = ProgressFile(file.with_name(file.name + ".part.progress"))
    progress = kept.load(f"export {collection} {prefix} {target}")

    async def to_file(documents: Documents) -> None:
        with _open_part(part, progress) as output, ProgressBar("export") as bar:
            if progress.documents:
                say(f"resuming after {progress.documents:,} documents", err=True)
            before = progress.documents
            await _export(documents, collection, prefix, output, progress, kept, bar)
            os.fsync(output.fileno())
            os.replace(part, file)
            kept.remove()
            bar.finish(progress.documents - before, f"exported from {collection} to {file}")

    run_on(target, to_file)


def _open_part(part: Path, progress: Progress) -> BinaryIO:
    """Opens the file behind its complete lines, or a new one."""
    if progress.offset and part.exists() and part.stat().st_size >= progress.offset:
        output = part.open("r+b")
        output.truncate(progress.offset)
        output.seek(progress.offset)
        return output
    progress.offset = progress.documents = 0
    progress.cursor = ""
    return part.open("wb")


async def _export(
    documents: Documents,
    collection: str,
    prefix: str,
    output: BinaryIO,
    progress: Progress,
    kept: ProgressFile,
    bar: ProgressBar,
) -> None:
    query = ListQuery(prefix=prefix)
    line_of = partial(listed_line, as_json=True) if output.isatty() else exported_line
    while True:
        page = await documents.page(collection, query, PAGE_DOCUMENTS, progress.cursor)
        content = "".join(line_of(document) + "\n" for document in page.documents).encode()
        output.write(content)
        output.flush()
        progress.offset += len(content)
        progress.documents += len(page.documents)
        progress.cursor = page.next_cursor
        bar.show(progress.documents, None if prefix else page.total)
        if not page.next_cursor:
            return
        kept.save(progress)
