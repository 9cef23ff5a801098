"""`peatnode peers`: lists them, forgets one that is gone, blocks one that does harm, and shows what happened."""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from peatnode.cli.errors import CliError, cli_errors
from peatnode.cli.exits import Exit
from peatnode.cli.options import find_options_target, with_output, with_target, with_target_options
from peatnode.cli.target import Target
from peatnode.cli.terminal.output import say, say_json
from peatnode.client.models import Peer
from peatnode.errors import AskFailed, PeatnodeError
from peatnode.ipc.messages import Failure
from peatnode.model.states import PeerStatus

MAX_SUGGESTIONS = 3


def complete_peer(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The ids of the node's peers."""
    return [CompletionItem(peer.id) for peer in _started_peers(context, incomplete)]


def complete_absent_peer(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The ids of the node's peers that are not connected."""
    found = _started_peers(context, incomplete)
    return [CompletionItem(peer.id) for peer in found if not peer.is_connected]


def complete_unblocked_peer(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The ids of the node's peers that are not blocked."""
    found = _started_peers(context, incomplete)
    return [CompletionItem(peer.id) for peer in found if peer.state != PeerStatus.BLOCKED]


def complete_blocked_peer(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The ids of the node's peers that are blocked."""
    found = _started_peers(context, incomplete)
    return [CompletionItem(peer.id) for peer in found if peer.state == PeerStatus.BLOCKED]


def complete_paused_peer(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The ids of the node's peers whose deletions are paused."""
    found = _started_peers(context, incomplete)
    return [CompletionItem(peer.id) for peer in found if peer.deletions_paused_since]


def _started_peers(context: click.Context, beginning: str) -> list[Peer]:
    from peatnode.cli.peers.node_peers import read_peers

    try:
        found = read_peers(find_options_target(context, os.environ))
    except (click.ClickException, PeatnodeError):
        return []  # completion has nobody to tell
    return [peer for peer in found if peer.id.startswith(beginning)]


@click.group(invoke_without_command=True)
@with_target_options
@with_output
@click.pass_context
def peers(context: click.Context, url: str | None, data_dir: str | None, output: str) -> None:
    """List the peers of a node, forget one that is gone, block one that does harm, or show what happened to them.

    A peer that has proved its membership once is remembered, and shown while it is absent, until it leaves for good or
    is forgotten.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_, url=url, data_dir=data_dir, output=output)


@peers.command("list", short_help="List the peers with their state and sync progress.")
@with_target
@with_output
def list_(target: Target, output: str) -> None:
    """List the peers with their state and sync progress. `peatnode peers` does the same."""
    from peatnode.cli.peers.node_peers import read_peers

    found = read_peers(target)
    if output == "json":
        from peatnode.cli.status.as_json import peers_json

        say_json(peers_json(found.peers))
        return
    from rich.console import Group

    from peatnode.cli.peers.table import peers_table, summary_lines
    from peatnode.cli.terminal.screen import open_screen, show

    screen, now = open_screen(), found.now or time.time()
    table = peers_table(found.peers, found.documents, now, screen.width)
    show(Group(table, *summary_lines(found, now)), screen)


@peers.command(short_help="Show the last 50 events of peers.")
@with_target
@with_output
@click.argument("id", default="", shell_complete=complete_peer)
def log(target: Target, output: str, id: str) -> None:
    """Show the last 50 events of all peers, or those of the peer ID among them, the oldest first."""
    from peatnode.cli.peers.node_peers import read_peer_log

    entries = [entry for entry in read_peer_log(target) if id in ("", entry.peer)]
    if output == "json":
        from dataclasses import asdict

        say_json([asdict(entry) for entry in entries])
        return
    from peatnode.cli.peers.log_table import peer_log_table
    from peatnode.cli.terminal.screen import open_screen, show

    screen = open_screen()
    show(peer_log_table(entries, screen.width), screen)


@peers.command(short_help="Forget absent peers, on all nodes that can be reached.")
@with_target
@click.argument(
    "ids",
    nargs=-1,
    required=True,
    metavar="ID...",
    shell_complete=complete_absent_peer,
)
def forget(target: Target, ids: tuple[str, ...]) -> None:
    """Forget absent peers that will not come back, here and on all nodes that can be reached.

    A node that proves its membership again is remembered again.
    """
    for id in ids:
        _forget(target, id)
        say(f"{id} is forgotten, here and on the nodes that can be reached.")


def _forget(target: Target, id: str) -> None:
    from peatnode.cli.peers.node_peers import forget_peer
    from peatnode.client.errors import Conflict, NotFound

    with cli_errors(str(target)):
        try:
            forget_peer(target, id)
        except NotFound as error:
            raise _unknown_peer(target, id, str(error)) from error
        except Conflict as error:
            raise _connected_peer(str(error)) from error
        except AskFailed as error:
            match error.code:
                case Failure.NOT_FOUND:
                    raise _unknown_peer(target, id, error.message) from error
                case Failure.INVALID:
                    raise _connected_peer(error.message) from error
            raise


@peers.command(short_help="Block peers on this node: end their connections and refuse them.")
@with_target
@click.option("--reason", default="", metavar="TEXT", help="Why, shown in the status of the node.")
@click.argument(
    "ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_unblocked_peer
)
def block(target: Target, ids: tuple[str, ...], reason: str) -> None:
    """Block peers, known or not: end their connections to this node here and now, and refuse them until
    `peatnode peers unblock`.

    It holds on this node only, so do it on each node:

    \b
      for url in https://node-1:8081 https://node-2:8081; do
        peatnode peers block ID --url $url
      done

    Who holds the formation secret can come back under another name: give the formation another secret.
    """
    from peatnode.cli.peers.node_peers import block_peer

    for id in ids:
        with cli_errors(str(target)):
            block_peer(target, id, reason)
        say(f"{id} is blocked on this node. Other nodes are not told: block it there too.")


@peers.command(short_help="Let blocked peers in again.")
@with_target
@click.argument(
    "ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_blocked_peer
)
def unblock(target: Target, ids: tuple[str, ...]) -> None:
    """Let blocked peers in again, on this node."""
    from peatnode.cli.peers.node_peers import unblock_peer

    for id in ids:
        _ordered(target, id, unblock_peer)
        say(f"{id} is no longer blocked on this node.")


@peers.command("allow-deletions", short_help="Carry out paused deletions of peers.")
@with_target
@click.argument(
    "ids", nargs=-1, required=True, metavar="ID...", shell_complete=complete_paused_peer
)
def allow_deletions(target: Target, ids: tuple[str, ...]) -> None:
    """Carry out the deletions of peers again, on this node, which were paused because they were too many.

    What was refused is fetched with the next comparison. If it was no intended deletion: `peatnode peers block`.
    """
    from peatnode.cli.peers.node_peers import allow_deletions

    for id in ids:
        _ordered(target, id, allow_deletions)
        say(f"Deletions of {id} are carried out on this node again.")


def _ordered(target: Target, id: str, order: Callable[[Target, str], None]) -> None:
    from peatnode.client.errors import NotFound

    with cli_errors(str(target)):
        try:
            order(target, id)
        except NotFound as error:
            raise _not_so(str(error)) from error
        except AskFailed as error:
            if error.code != Failure.NOT_FOUND:
                raise
            raise _not_so(error.message) from error


def _not_so(sentence: str) -> CliError:
    return CliError(sentence, Exit.NOT_FOUND, "`peatnode peers` lists the peers.")


def _unknown_peer(target: Target, id: str, sentence: str) -> CliError:
    known = [peer.id for peer in _known_peers(target)]
    near = difflib.get_close_matches(id, known, MAX_SUGGESTIONS)
    question = f"Did you mean {' or '.join(near)}? " if near else ""
    return CliError(sentence, Exit.NOT_FOUND, f"{question}`peatnode peers` lists the peers.")


def _connected_peer(sentence: str) -> CliError:
    return CliError(
        sentence,
        Exit.FAILED,
        "`peatnode leave` on its machine, before it stops, makes all nodes forget it.",
    )


def _known_peers(target: Target) -> tuple[Peer, ...]:
    """Those that can be forgotten, for suggestions; none if the node does not answer."""
    from peatnode.cli.peers.node_peers import read_peers

    try:
        return tuple(peer for peer in read_peers(target) if not peer.is_connected)
    except CliError:
        return ()
