"""`peatnode doc list`: lists collections and documents, and queries them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from peatnode.cli.documents.formatting import listed_line
from peatnode.cli.documents.source import Documents, run_on
from peatnode.cli.options import with_output, with_target
from peatnode.cli.target import RemoteNode, Target
from peatnode.cli.terminal.output import say, say_json, say_name
from peatnode.client._wire.requests import ListQuery
from peatnode.client.models import Page

F = TypeVar("F", bound=Callable[..., Any])

PAGE_DOCUMENTS = 500
SORTED_PAGE_DOCUMENTS = 1000
"""The maximum of the API, because it reads all documents for each page of a sorted list."""


def with_query(command: F) -> F:
    options = (
        click.option("--prefix", default="", help="Only ids with this prefix."),
        click.option(
            "--where",
            multiple=True,
            metavar="'PATH OP VALUE'",
            help="Filter documents: a dotted path, one of = != < <= > >=, and a value, as in "
            "'address.city=Oslo' or 'age>=30'. If given more than once, all must hold.",
        ),
        click.option(
            "--sort",
            multiple=True,
            metavar="PATH,…",
            help="Sort by these fields, by default by id. Prefix a field with - to sort descending.",
        ),
        click.option(
            "--fields",
            multiple=True,
            metavar="PATH,…",
            help="Return only these fields of each document.",
        ),
    )
    for option in reversed(options):  # the order of decorators: the last is applied first
        command = option(command)
    return command


@click.command("list")
@click.argument("collection", required=False)
@with_query
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Maximum number of documents; 0: all.",
)
@click.option("--ids", is_flag=True, help="Print only the ids.")
@with_target
@with_output
def list_(
    target: Target,
    collection: str | None,
    prefix: str,
    where: tuple[str, ...],
    sort: tuple[str, ...],
    fields: tuple[str, ...],
    limit: int,
    ids: bool,
    output: str,
) -> None:
    """List the documents of a collection, or all collections.

    -o json prints one document per line, with its id as _id. The API of the node answers --where, --sort and
    --fields, also of a local node. If the API requires a token, set PEAT_API_TOKEN or PEAT_API_TOKEN_FILE.
    """
    query = ListQuery(where, tuple(_paths(sort)), tuple(_paths(fields)), prefix)
    if collection is None:
        if query != ListQuery():
            raise click.UsageError("--prefix, --where, --sort and --fields need a COLLECTION")
        run_on(target, lambda documents: _list_collections(documents, output))
        return
    if not query.has_prefix_only and not isinstance(target, RemoteNode):
        from peatnode.cli.documents.local_api import find_api

        target = find_api(target, os.environ)
    run_on(
        target,
        lambda documents: _list_documents(documents, collection, query, limit, ids, output),
    )


def _paths(texts: tuple[str, ...]) -> Iterator[str]:
    """The paths of lists separated by commas. The API refuses an empty path."""
    for text in filter(str.strip, texts):
        yield from (path.strip() for path in text.split(","))


async def _list_documents(
    documents: Documents, collection: str, query: ListQuery, limit: int, ids: bool, output: str
) -> None:
    printed, cursor = 0, ""
    most = SORTED_PAGE_DOCUMENTS if query.sort else PAGE_DOCUMENTS
    while True:
        page = await documents.page(
            collection, query, min(most, limit - printed) if limit else most, cursor
        )
        for document in page.documents:
            if ids:
                say_name(document.id)
            else:
                say(listed_line(document, output == "json"))
        printed += len(page.documents)
        cursor = page.next_cursor
        if not cursor:
            return
        if limit and printed >= limit:
            say(_more(query, page), err=True)
            return


def _more(query: ListQuery, page: Page) -> str:
    if query.where:  # the rest may not match
        return "There may be more: --limit 0 lists all."
    of = "" if query.prefix else f" (of {page.total:,})"
    return f"There are more: --limit 0 lists all{of}."


async def _list_collections(documents: Documents, output: str) -> None:
    for entry in await documents.collections():
        if output == "json":
            content = {"collection": entry.name, "count": entry.count}
            say_json(content)
        else:
            say(f"{entry.count:>9,}  {entry.name}")
