"""`peatnode quarantine`: changes that leap and what broke the engine, until an operator decides."""

from __future__ import annotations

import time

import click

from peatnode.cli.errors import CliError
from peatnode.cli.exits import Exit
from peatnode.cli.options import with_output, with_target, with_target_options
from peatnode.cli.status.questions import ask_api, ask_worker, names_of
from peatnode.cli.target import LocalNode, Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.client import Quarantined
from peatnode.client._wire import responses
from peatnode.client._wire.responses import NodeResponse
from peatnode.ipc.messages import (
    AcceptQuarantined,
    DropQuarantined,
    ListQuarantine,
)


@click.group(invoke_without_command=True)
@with_target_options
@with_output
@click.pass_context
def quarantine(context: click.Context, url: str | None, data_dir: str | None, output: str) -> None:
    """List what a node has set aside, accept it, or drop it.

    A change whose incarnation is far above that of its document is refused and kept. So is what broke the engine.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_, url=url, data_dir=data_dir, output=output)


@quarantine.command("list")
@with_target
@with_output
def list_(target: Target, output: str) -> None:
    """List what is in quarantine, the newest first."""
    found = _listed(target)
    if output == "json":
        say_json([_content(entry) for entry in found])
        return
    for entry in found:
        name = f"{entry.collection}/{entry.doc_id}"
        peer = f"  (from {entry.peer_id or entry.peer})" if entry.peer else ""
        say(f"{entry.id}  {_time(entry)}  {_what(entry)}  {name}{peer}")


@quarantine.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@with_target
def accept(ids: tuple[str, ...], target: Target) -> None:
    """Carry out changes that leap, or let the engine try again.

    Accept a change on every node: a node that has not accepted it refuses it from its peers.
    """
    for id in ids:
        outcome = _accept(target, id)
        say(f"{id}: {'accepted' if outcome == 'applied' else f'nothing to do ({outcome})'}")


@quarantine.command()
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "is_all", is_flag=True, help="Drop all changes that leap.")
@with_target
def drop(ids: tuple[str, ...], is_all: bool, target: Target) -> None:
    """Drop changes that leap. They are refused from now on, without a notice."""
    if bool(ids) == is_all:
        raise click.UsageError("give ids, or --all")
    chosen = [entry.id for entry in _listed(target) if entry.reason == "leap"] if is_all else ids
    for id in chosen:
        _drop(target, id)


def _time(entry: Quarantined) -> str:
    if entry.time is None:
        return "-".ljust(19)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time))


def _what(entry: Quarantined) -> str:
    if entry.reason != "leap":
        return entry.reason
    verb = "deletes" if entry.deletes else "writes"
    return f"leap {entry.here:,} -> {entry.incarnation:,}, {verb}"


def _content(entry: Quarantined) -> dict[str, object]:
    return {
        "id": entry.id,
        "reason": entry.reason,
        "time": entry.time,
        "collection": entry.collection,
        "doc_id": entry.doc_id,
        "here": entry.here,
        "incarnation": entry.incarnation,
        "deletes": entry.deletes,
        "peer": entry.peer,
        "peer_id": entry.peer_id,
        "bytes": entry.size,
    }


def _listed(target: Target) -> tuple[Quarantined, ...]:
    if not isinstance(target, LocalNode):
        return ask_api(target, lambda client: client.quarantine())
    from peatnode.api.kept.encode_quarantine import quarantine_body

    reply = ask_worker(target, "store", ListQuarantine())
    names = names_of(target, [entry.peer for entry in reply.entries if entry.peer])
    body = quarantine_body(reply, names.name_of)
    return responses.read_quarantine(NodeResponse(200, {}, body))


def _accept(target: Target, id: str) -> str:
    if not isinstance(target, LocalNode):
        return ask_api(target, lambda client: client.accept_quarantined(id))
    return ask_worker(target, "store", AcceptQuarantined(_number(id))).outcome


def _drop(target: Target, id: str) -> None:
    if not isinstance(target, LocalNode):
        ask_api(target, lambda client: client.drop_quarantined(id))
    elif not ask_worker(target, "store", DropQuarantined(_number(id))).was_kept:
        raise _unknown(id)


def _number(id: str) -> bytes:
    try:
        return bytes.fromhex(id)
    except ValueError as error:
        raise _unknown(id) from error


def _unknown(id: str) -> CliError:
    return CliError(f"the node has no {id} in quarantine", Exit.NOT_FOUND)
