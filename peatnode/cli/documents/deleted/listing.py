"""`peatnode doc deleted`: lists deleted documents whose content the node keeps, or shows one."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from typing import Any

import click

from peatnode.cli.documents.source import Documents, refuse_bad_names, run_on
from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_output, with_target
from peatnode.cli.target import Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.client.models import DeletedDocument
from peatnode.model.amounts import moment, span

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Ago(click.ParamType[float]):
    """A duration such as 90m, as the Unix time that lies so far back."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = re.fullmatch(r"([0-9]{1,9})([smhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a duration: a number and a unit, such as 90m, 12h or 7d")
        return max(0.0, time.time() - int(found[1]) * _SECONDS[found[2]])


INCARNATION = click.option(
    "--incarnation",
    type=click.IntRange(min=1),
    metavar="N",
    help="Which of its ends, as listed; by default the last one.",
)


def names_of(collection: str, id: str | None) -> tuple[str, str | None]:
    """A collection and an id, also from COLLECTION/ID: neither has a slash. Raises CliError."""
    if id is None and "/" in collection:
        collection, _, id = collection.partition("/")
    refuse_bad_names(collection, id)
    return collection, id


@click.command()
@click.argument("collection", required=False)
@click.argument("id", required=False)
@click.option("--prefix", default="", help="Only ids with this prefix.")
@click.option(
    "--since",
    type=Ago(),
    default=None,
    metavar="TIME",
    help="Only what ended in this time, as in 1h.",
)
@INCARNATION
@with_target
@with_output
def deleted(
    target: Target,
    collection: str | None,
    id: str | None,
    prefix: str,
    since: float | None,
    incarnation: int | None,
    output: str,
) -> None:
    """List the deleted documents of a collection that can come back, or show what one of them held.

    Without a collection it lists the collections. A node keeps what it had itself, for PEAT_UNDELETE_SECONDS:
    another one may keep more.
    """
    if collection is None:
        run_on(target, lambda documents: _list_collections(documents, output))
        return
    collection, id = names_of(collection, id)
    if id is None:
        run_on(target, lambda documents: _list(documents, collection, prefix, since or 0.0, output))
        return
    found = run_on(
        target, lambda documents: documents.deleted_document(collection, id, incarnation or 0)
    )
    if output == "json":
        say_json(content_of(found) | {"document": found.value})
    elif found.value is None:
        raise CliError(f"what {collection}/{id} held cannot be shown", Exit.FAILED)
    else:
        say_json(found.value, indent=2)


async def _list_collections(documents: Documents, output: str) -> None:
    for name in await documents.deleted_collections():
        if output == "json":
            say_json({"collection": name})
        else:
            say(name)


async def _list(
    documents: Documents, collection: str, prefix: str, since: float, output: str
) -> None:
    async for found in all_deleted(documents, collection, prefix, since):
        if output == "json":
            say_json(content_of(found))
        else:
            say(line_of(found, time.time()))


async def all_deleted(
    documents: Documents, collection: str, prefix: str, since: float
) -> AsyncIterator[DeletedDocument]:
    """By id, and for one id the earliest end first."""
    cursor = ""
    while True:
        page = await documents.deleted_page(collection, prefix, since, cursor)
        for found in page.documents:
            yield found
        if not (cursor := page.next_cursor):
            return


def line_of(found: DeletedDocument, now: float) -> str:
    parts = [
        found.id,
        f"incarnation {found.incarnation}",
        f"deleted {moment(found.deleted_at, now)}",
        f"by {ender_of(found)}",
        f"{found.size:,} bytes",
        f"kept for {span(found.until - now)}",
    ]
    if found.is_live:
        parts.append("(exists now)")
    return "  ".join(parts)


def ender_of(found: DeletedDocument) -> str:
    """Who ended a document: `this node`, `expiry`, `client`, or a node."""
    if found.has_expired:
        return "expiry"
    if not found.origin:
        return "this node"
    return found.origin_peer or found.origin.partition(":")[0]


def content_of(found: DeletedDocument) -> dict[str, Any]:
    return {
        "collection": found.collection,
        "id": found.id,
        "incarnation": found.incarnation,
        "deleted_at": found.deleted_at,
        "until": found.until,
        "origin": found.origin,
        "origin_peer": found.origin_peer,
        "expired": found.has_expired,
        "bytes": found.size,
        "live": found.is_live,
    }
