"""`peatnode conflicts`: what lost when two states of a document contradicted each other."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

import click

from peatnode.cli.errors import CliError, cli_errors
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_output, with_target, with_target_options
from peatnode.cli.target import LocalNode, Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.client import Client
from peatnode.client._wire import responses
from peatnode.client._wire.responses import NodeResponse
from peatnode.client.models import LostDocument
from peatnode.ipc.messages import (
    Ask,
    ConflictEntry,
    DismissConflict,
    GetPeers,
    ListConflicts,
    Message,
    PeersReply,
    ReadConflict,
)
from peatnode.ipc.peer_names import PeerNames

ReplyT = TypeVar("ReplyT", bound=Message)
T = TypeVar("T")


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

        reply = _ask(target, ListConflicts())
        body = conflicts_body(reply, _names(target, *reply.conflicts).name_of)
        return responses.read_conflicts(NodeResponse(200, {}, body))
    return _remotely(target.url, target.token, lambda client: client.conflicts())


def _shown(target: Target, id: str) -> LostDocument:
    if isinstance(target, LocalNode):
        from peatnode.api.encode_document import conflict_body

        shown = _ask(target, ReadConflict(_number(id)))
        body = conflict_body(shown, _names(target, shown.conflict).name_of)
        return responses.read_conflict(NodeResponse(200, {}, body))
    return _remotely(target.url, target.token, lambda client: client.conflict(id))


def _dismiss(target: Target, id: str) -> None:
    if not isinstance(target, LocalNode):
        _remotely(target.url, target.token, lambda client: client.dismiss_conflict(id))
    elif not _ask(target, DismissConflict(_number(id))).was_kept:
        raise CliError(f"the node keeps no conflict {id}", Exit.FAILED)


def _names(target: LocalNode, *entries: ConflictEntry) -> PeerNames:
    """The names of the other nodes, as far as the sync worker tells them."""
    names = PeerNames(lambda: _peers(target))
    asyncio.run(names.learn([entry.peer for entry in entries]))
    return names


async def _peers(target: LocalNode) -> PeersReply | None:
    from peatnode.api.findings.replies import NoAnswer
    from peatnode.cli.status.from_sockets import ask_worker

    reply = await ask_worker(target.run_dir, "sync", GetPeers())
    return None if isinstance(reply, NoAnswer) else reply


def _remotely(url: str, token: str, ask: Callable[[Client], T]) -> T:
    with cli_errors(url), Client(url, token=token) as client:
        return ask(client)


def _ask(target: LocalNode, question: Ask[ReplyT]) -> ReplyT:
    from peatnode.api.findings.replies import NoAnswer
    from peatnode.cli.status.from_sockets import ask_worker

    reply = asyncio.run(ask_worker(target.run_dir, "store", question))
    if isinstance(reply, NoAnswer):
        raise CliError(f"the store of {target} did not answer: {reply.reason}", Exit.FAILED)
    return reply


def _number(id: str) -> bytes:
    try:
        return bytes.fromhex(id)
    except ValueError as error:
        raise CliError(f"the node keeps no conflict {id}", Exit.FAILED) from error
