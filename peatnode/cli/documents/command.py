"""`peatnode doc`: reads, writes and follows documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from peatnode.cli.documents.body import check_body, read_body
from peatnode.cli.documents.deleted.listing import deleted
from peatnode.cli.documents.deleted.undelete import undelete
from peatnode.cli.documents.formatting import event_json, event_line, written_json, written_line
from peatnode.cli.documents.list import list_
from peatnode.cli.documents.source import Documents, refuse_bad_names, run_on
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_output, with_target
from peatnode.cli.target import Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.client._wire.requests import Conditions
from peatnode.client.models import Written
from peatnode.client.resume import EventFilter
from peatnode.ipc.messages import WriteKind

F = TypeVar("F", bound=Callable[..., Any])

BODY = click.argument("body", metavar="JSON|@FILE|-")


def with_conditions(command: F) -> F:
    options = (
        click.option(
            "--if-match",
            metavar="ETAG",
            default="",
            help="Write only if the document has this etag; *: only if it exists.",
        ),
        click.option(
            "--if-none-match",
            metavar="ETAG",
            default="",
            help="*: write only if the document does not exist.",
        ),
        click.option(
            "--replicas",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Wait until N peers have the write on disk.",
        ),
        click.option(
            "--timeout",
            type=click.FloatRange(min=0.1, max=60),
            default=10.0,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for the peers of --replicas.",
        ),
    )
    for option in reversed(options):  # the order of decorators: the last is applied first
        command = option(command)
    return command


@click.group()
def doc() -> None:
    """Read, write and follow documents."""


doc.add_command(list_)
doc.add_command(deleted)
doc.add_command(undelete)


@doc.command("get")
@click.argument("collection")
@click.argument("id")
@with_target
@with_output
def get(target: Target, collection: str, id: str, output: str) -> None:
    """Print a document."""
    document = run_on(target, lambda documents: documents.get(collection, id))
    if output == "json":
        content = {
            "collection": document.collection,
            "id": document.id,
            "etag": document.etag,
            "expires_at": document.expires_at,
            "document": document.value,
        }
        say_json(content)
    else:
        say_json(document.value, indent=2)


@doc.command("put")
@click.argument("collection")
@click.argument("id")
@BODY
@with_conditions
@click.option(
    "--ttl",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Delete the document on every node after this time; 0: never.",
)
@with_target
@with_output
def put(
    target: Target,
    collection: str,
    id: str,
    body: str,
    output: str,
    ttl: float | None,
    **conditions: Any,
) -> int:
    """Replace or create a document: a JSON object, also from a file (@FILE) or from standard input (-)."""
    content = read_body(body)
    return _write(
        target, WriteKind.PUT, collection, id, content, Conditions(ttl=ttl, **conditions), output
    )


@doc.command("patch")
@click.argument("collection")
@click.argument("id")
@BODY
@click.option(
    "--json-patch",
    is_flag=True,
    help="The body is a JSON Patch (RFC 6902): an array of operations.",
)
@with_conditions
@with_target
@with_output
def patch(
    target: Target,
    collection: str,
    id: str,
    body: str,
    json_patch: bool,
    output: str,
    **conditions: Any,
) -> int:
    """Merge a JSON object into a document (RFC 7396). A null removes its key.

    The object may also come from a file (@FILE) or from standard input (-).
    """
    content = read_body(body)
    kind = WriteKind.JSON_PATCH if json_patch else WriteKind.PATCH
    return _write(target, kind, collection, id, content, Conditions(**conditions), output)


@doc.command("delete")
@click.argument("collection")
@click.argument("id")
@with_conditions
@with_target
@with_output
def delete(target: Target, collection: str, id: str, output: str, **conditions: Any) -> int:
    """Delete a document on every node."""
    return _write(target, WriteKind.DELETE, collection, id, b"", Conditions(**conditions), output)


def _write(
    target: Target,
    kind: WriteKind,
    collection: str,
    id: str,
    body: bytes,
    conditions: Conditions,
    output: str,
) -> int:
    check_body(kind, id, body)
    written: Written = run_on(
        target, lambda documents: documents.write(kind, collection, id, body, conditions)
    )
    is_deletion = kind is WriteKind.DELETE
    if output == "json":
        say_json(written_json(written, is_deletion))
    else:
        say(written_line(written, is_deletion))
    is_enough = written.replicas is None or written.replicas.is_complete
    return Exit.OK if is_enough else Exit.TOO_FEW_REPLICAS


@doc.command("watch")
@click.argument("collection", required=False, default="")
@click.argument("id", required=False, default="")
@click.option("--prefix", default="", help="Only ids with this prefix.")
@click.option(
    "--since",
    type=click.IntRange(min=0),
    metavar="N",
    help="Begin after this change of the feed instead of now.",
)
@click.option(
    "--count",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="End after N changes; 0: never.",
)
@with_target
@with_output
def watch(
    target: Target,
    collection: str,
    id: str,
    prefix: str,
    since: int | None,
    count: int,
    output: str,
) -> None:
    """Print each change, made on any node, until Ctrl-C.

    After a restart of the node the command resumes. -o json prints one event per line, like the feed
    of the API.
    """
    if collection:
        refuse_bad_names(collection, id or None)
    filter = EventFilter(collection, id, prefix, with_value=True, types=("SyncEvent",))

    async def print_events(documents: Documents) -> None:
        printed = 0
        events = documents.events(filter, since)
        try:
            async for event in events:
                if output == "json":
                    say_json(event_json(event))
                else:
                    say(event_line(event))
                printed += 1
                if printed == count:
                    return
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    run_on(target, print_events)
