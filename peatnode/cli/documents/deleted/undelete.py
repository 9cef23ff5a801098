"""`peatnode doc undelete`: brings one deleted document back, or all of a collection."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import click

from peatnode.cli.documents.deleted.listing import (
    INCARNATION,
    Ago,
    all_deleted,
    ender_of,
    names_of,
)
from peatnode.cli.documents.formatting import written_json, written_line
from peatnode.cli.documents.source import Documents, run_on
from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_output, with_target
from peatnode.cli.target import Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.cli.terminal.progress_bar import ProgressBar
from peatnode.client._wire.requests import Conditions
from peatnode.client.errors import Conflict, NotFound, ProblemAnswer
from peatnode.client.models import DeletedDocument
from peatnode.model.amounts import plural

AT_ONCE = 64
"""Documents that are brought back at the same time."""
SHOWN = 10
"""Documents that could not be brought back and are named."""


@dataclass(slots=True)
class UndeleteChoice:
    """Which deleted documents of a collection come back: for each id its first end since a time."""

    since: float
    """Unix seconds. The documents come back as they were then."""
    by: str = ""
    """Who ended them, as in the list; empty: whoever did."""
    with_expired: bool = False
    chosen: dict[str, DeletedDocument] = field(default_factory=dict)
    live: int = 0
    expired: int = 0

    def offer(self, found: DeletedDocument) -> None:
        """Takes the next end of the list."""
        if found.id in self.chosen or (self.by and self.by not in (ender_of(found), found.origin)):
            return
        if found.is_live:
            self.live += 1
        elif found.has_expired and not self.with_expired:
            self.expired += 1
        else:
            self.chosen[found.id] = found

    @property
    def rest(self) -> str:
        """What does not come back, for people."""
        parts = []
        if self.live:
            parts.append(f"{self.live:,} exist")
        if self.expired:
            parts.append(f"{self.expired:,} had expired")
        return f" ({', '.join(parts)})" if parts else ""


@click.command()
@click.argument("collection")
@click.argument("id", required=False)
@INCARNATION
@click.option(
    "--all",
    "is_all",
    is_flag=True,
    help="All documents of the collection that ended since --since.",
)
@click.option(
    "--since",
    type=Ago(),
    default=None,
    metavar="TIME",
    help="With --all: each document comes back as it was then, as in 1h.",
)
@click.option("--prefix", default="", help="With --all: only ids with this prefix.")
@click.option(
    "--by",
    default="",
    metavar="WHO",
    help="With --all: only what this node id has deleted, or `this node`, or `client`.",
)
@click.option("--expired", is_flag=True, help="With --all: also documents that had expired.")
@click.option(
    "--replicas",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Wait until N peers have the document on disk.",
)
@with_target
@with_output
def undelete(
    target: Target,
    collection: str,
    id: str | None,
    incarnation: int | None,
    is_all: bool,
    since: float | None,
    prefix: str,
    by: str,
    expired: bool,
    replicas: int,
    output: str,
) -> int:
    """Bring a deleted document back on every node, or all of a collection with --all --since TIME.

    The node must have had the document when it was deleted. A document that exists stays as it is.
    """
    collection, id = names_of(collection, id)
    if is_all:
        if id is not None or incarnation is not None or since is None:
            raise click.UsageError("--all needs --since, and neither an ID nor --incarnation")
        selection = UndeleteChoice(since, by, expired)
        return run_on(
            target, lambda documents: _undelete_all(documents, collection, prefix, selection)
        )
    if id is None:
        raise click.UsageError("name an ID, or give --all --since TIME")
    if since is not None or prefix or by or expired:
        raise click.UsageError("--since, --prefix, --by and --expired need --all")
    conditions = Conditions(replicas=replicas)
    written = run_on(
        target, lambda documents: documents.undelete(collection, id, incarnation or 0, conditions)
    )
    if output == "json":
        say_json(written_json(written, False))
    else:
        say(written_line(written, False).replace("created", "undeleted", 1))
    is_enough = written.replicas is None or written.replicas.is_complete
    return Exit.OK if is_enough else Exit.TOO_FEW_REPLICAS


async def _undelete_all(
    documents: Documents, collection: str, prefix: str, selection: UndeleteChoice
) -> int:
    async for found in all_deleted(documents, collection, prefix, selection.since):
        selection.offer(found)
    chosen = list(selection.chosen.values())
    failures: list[str] = []
    done = 0
    with ProgressBar("undelete") as bar:
        bar.show(0, len(chosen))
        for slice_ in _slices(chosen):
            results = await asyncio.gather(*(_undelete_one(documents, found) for found in slice_))
            failures += [reason for reason in results if reason]
            done += len(slice_)
            bar.show(done, len(chosen))
        bar.finish(done - len(failures), f"undeleted in {collection}{selection.rest}")
    if failures:
        more = f" and {len(failures) - SHOWN:,} more" if len(failures) > SHOWN else ""
        raise CliError(
            f"{plural(len(failures), 'document')} did not come back: {'; '.join(failures[:SHOWN])}{more}",
            Exit.FAILED,
            "The others did. The command may be repeated.",
        )
    return Exit.OK


def _slices(chosen: list[DeletedDocument]) -> Iterator[list[DeletedDocument]]:
    for at in range(0, len(chosen), AT_ONCE):
        yield chosen[at : at + AT_ONCE]


async def _undelete_one(documents: Documents, found: DeletedDocument) -> str:
    """Returns why it did not come back; empty: it did, or somebody else was faster."""
    try:
        await documents.undelete(found.collection, found.id, found.incarnation, Conditions())
    except Conflict as error:
        return "" if error.problem.code == "exists" else f"{found.id}: {error}"
    except (NotFound, ProblemAnswer) as error:
        return f"{found.id}: {error}"
    return ""
