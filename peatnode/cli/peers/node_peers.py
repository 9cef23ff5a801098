"""What a node knows of its peers, from its sockets or from its API. The functions raise CliError."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from peatnode.api.encode_peer import encode_peer_log, encode_peers
from peatnode.cli.status.questions import ANSWER_SECONDS, ask_api, ask_worker, asked
from peatnode.cli.target import LocalNode, Target
from peatnode.client import Client
from peatnode.client._wire.fields import Fields
from peatnode.client._wire.records import decode_record, decode_records
from peatnode.client.models import PeerLogEntry, Peers
from peatnode.ipc.messages import (
    AllowDeletions,
    Ask,
    BlockPeer,
    ForgetPeer,
    GetPeerLog,
    GetPeers,
    Message,
    UnblockPeer,
)


def read_peers(target: Target) -> Peers:
    if isinstance(target, LocalNode):
        reply = ask_worker(target, "sync", GetPeers())
        return decode_record(Peers, Fields(encode_peers(reply)))
    return ask_api(target, lambda client: client.peers(), ANSWER_SECONDS)


def read_peer_log(target: Target) -> tuple[PeerLogEntry, ...]:
    """The last events, the oldest first."""
    if isinstance(target, LocalNode):
        content = Fields(encode_peer_log(ask_worker(target, "sync", GetPeerLog())))
        return decode_records(PeerLogEntry, content.each("events"))
    return ask_api(target, lambda client: client.peer_log(), ANSWER_SECONDS)


def forget_peer(target: Target, id: str) -> None:
    """Raises also AskFailed, NotFound and Conflict: the node does not know the peer, or is connected to it."""
    _order(target, ForgetPeer(id), lambda client: client.forget_peer(id))


def block_peer(target: Target, id: str, reason: str) -> None:
    """Raises also AskFailed and InvalidRequest: the id is that of the node, or is none."""
    _order(target, BlockPeer(id, reason), lambda client: client.block_peer(id, reason))


def unblock_peer(target: Target, id: str) -> None:
    """Raises also AskFailed and NotFound: it is not blocked."""
    _order(target, UnblockPeer(id), lambda client: client.unblock_peer(id))


def allow_deletions(target: Target, id: str) -> None:
    """Raises also AskFailed and NotFound: they are not paused."""
    _order(target, AllowDeletions(id), lambda client: client.allow_deletions(id))


def _order(target: Target, order: Ask[Message], remotely: Callable[[Client], None]) -> None:
    if isinstance(target, LocalNode):
        asyncio.run(asked(target.run_dir, "sync", order))
    else:
        with Client(target.url, target.token, ANSWER_SECONDS) as client:
            remotely(client)
