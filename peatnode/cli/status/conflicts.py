"""`peatnode conflicts`: what lost when two states of a document contradicted each other."""

from __future__ import annotations

import time
from base64 import b64encode

import click

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_output, with_target, with_target_options
from peatnode.cli.status.questions import ask_api, ask_worker, names_of
from peatnode.cli.target import LocalNode, Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.client._wire import responses
from peatnode.client._wire.responses import NodeResponse
from peatnode.client.models import LostDocument
from peatnode.ipc.messages import (
    DismissConflict,
    ListConflicts,
    ReadConflict,
)


@click.group(invoke_without_command=True)
@with_target_options
@with_output
@click.pass_context
def conflicts(context: click.Context, url: str | None, data_dir: str | None, output: str) -> None:
    """List what documents lost in conflicts, show it, or dismiss it.

    Copies of one writer may write different things under the same ids. All nodes keep one of them; the other
    one is kept here until it is dismissed.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_, url=url, data_dir=data_dir, output=output)


@conflicts.command("list")
@with_target
@with_output
def list_(target: Target, output: str) -> None:
    """List what is kept, the newest first."""
    found = _listed(target)
    if output == "json":
        say_json([_content(lost) for lost in found])
        return
    for lost in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(lost.time))
        name = f"{lost.collection}/{lost.doc_id}"
        peer = f"  (the other node: {lost.peer_id})" if lost.peer_id else ""
        say(f"{lost.id}  {at}  {lost.lost:5}  {lost.size:8}  {name}{peer}")


@conflicts.command()
@click.argument("id")
@with_target
@with_output
def show(id: str, target: Target, output: str) -> None:
    """Show a lost document: its JSON, or as JSON output also its Yjs update in Base64."""
    lost = _shown(target, id)
    if output == "json":
        update = b64encode(lost.update).decode()
        content = {**_content(lost), "value": lost.value, "update": update}
        say_json(content)
    elif lost.value is None:
        raise CliError(
            f"the lost state of {lost.collection}/{lost.doc_id} has no JSON that is readable without an engine",
            Exit.FAILED,
            "`-o json` shows it as a Yjs update.",
        )
    else:
        say_json(lost.value, indent=2)


@conflicts.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@with_target
def dismiss(ids: tuple[str, ...], target: Target) -> None:
    """Forget lost documents. The notice of the node ends with the last one."""
    for id in ids:
        _dismiss(target, id)


def _content(lost: LostDocument) -> dict[str, object]:
    return {
        "id": lost.id,
        "time": lost.time,
        "collection": lost.collection,
        "doc_id": lost.doc_id,
        "lost": lost.lost,
        "peer": lost.peer,
        "peer_id": lost.peer_id,
        "clients": list(lost.clients),
        "bytes": lost.size,
    }


def _listed(target: Target) -> tuple[LostDocument, ...]:
    if isinstance(target, LocalNode):
        from peatnode.api.encode_document import conflicts_body

        reply = ask_worker(target, "store", ListConflicts())
        body = conflicts_body(
            reply, names_of(target, [kept.peer for kept in reply.conflicts]).name_of
        )
        return responses.read_conflicts(NodeResponse(200, {}, body))
    return ask_api(target, lambda client: client.conflicts())


def _shown(target: Target, id: str) -> LostDocument:
    if isinstance(target, LocalNode):
        from peatnode.api.encode_document import conflict_body

        shown = ask_worker(target, "store", ReadConflict(_number(id)))
        body = conflict_body(shown, names_of(target, [shown.conflict.peer]).name_of)
        return responses.read_conflict(NodeResponse(200, {}, body))
    return ask_api(target, lambda client: client.conflict(id))


def _dismiss(target: Target, id: str) -> None:
    if not isinstance(target, LocalNode):
        ask_api(target, lambda client: client.dismiss_conflict(id))
    elif not ask_worker(target, "store", DismissConflict(_number(id))).was_kept:
        raise _unknown(id)


def _number(id: str) -> bytes:
    try:
        return bytes.fromhex(id)
    except ValueError as error:
        raise _unknown(id) from error


def _unknown(id: str) -> CliError:
    return CliError(f"the node keeps no conflict {id}", Exit.NOT_FOUND)
