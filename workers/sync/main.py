"""Starts the sync worker: opens its links and its QUIC endpoint, serves sync.sock,
and closes them at the end."""

from __future__ import annotations

import asyncio
import random
import time

import peatnode
from peatnode.config import Config
from peatnode.errors import LinkLost
from peatnode.identity import (
    derive_identity,
    endpoint_private_key,
    endpoint_public_key,
    instance_private_key,
)
from peatnode.ipc.link import Dialer, serve
from peatnode.ipc.messages import FollowDiscovery, PeerFound, PeerLost
from peatnode.protocol.connect.handshake import Credentials
from peatnode.worker.shell import WorkerShell
from workers.sync.expected_file import follow_expected
from workers.sync.farewell import say_goodbye
from workers.sync.node_shell import NodeShell
from workers.sync.quic.endpoint import QuicEndpoint
from workers.sync.service import SyncService
from workers.sync.store_link import StoreLink


def make_credentials(config: Config, instance_seed: bytes) -> Credentials:
    """The credentials of this node. `instance_seed` is that of its start."""
    secret = config.secret.reveal()
    identity = derive_identity(secret, config.node_id)
    return Credentials(
        node_id=config.node_id,
        instance_key=instance_private_key(instance_seed),
        # Compared only between processes of one supervisor. The wall clock may go back between two of them.
        started=time.monotonic_ns() // 1000,
        software=f"peatnode/{peatnode.__version__}",
        formation_key=identity.formation_key,
        sign=endpoint_private_key(secret, config.node_id).sign,
        endpoint_key_of=lambda node_id: endpoint_public_key(secret, node_id),
    )


async def main(shell: WorkerShell) -> None:
    config, context = shell.config, shell.context
    credentials = make_credentials(config, context.instance_seed)
    node = NodeShell(
        credentials,
        lambda handle: StoreLink(config.run_dir / "store.sock", handle, shell.log),
        random.Random(int.from_bytes(credentials.instance) ^ credentials.started),  # noqa: S311  # jitter
        shell.log,
        shell,
        are_peers_sought=bool(config.static_peers or set(config.discovery) - {"static"}),
        expected=config.expected_peers,
        retention=config.peer_retention,
    )
    key = endpoint_private_key(config.secret.reveal(), config.node_id)
    node.open(QuicEndpoint(context.listeners["quic"], key, credentials, node))
    service = SyncService(node)
    server = await serve(
        context.listeners["sync"], "sync", service.message_received, service.link_closed
    )
    discovery = Dialer(config.run_dir / "discovery.sock", "sync")
    tasks = [
        asyncio.create_task(node.store.follow()),
        asyncio.create_task(follow_discovery(discovery, node)),
    ]
    if config.expected_peers_file:
        tasks.append(asyncio.create_task(follow_expected(config.expected_peers_file, node, shell)))
    shell.ready()
    shell.log.info(
        "Sync ready (blobs + documents)",
        endpoint_id=key.public_key().public_bytes_raw().hex(),
    )
    await _wait_stop_or_failure(shell, tasks)
    await say_goodbye(node, discovery)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await node.close()
    await discovery.close()
    await server.close()


async def _wait_stop_or_failure(shell: WorkerShell, tasks: list[asyncio.Task[None]]) -> None:
    stop = asyncio.create_task(shell.wait_stop())
    done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    for task in done:
        if task is not stop:
            task.result()


SECONDS_TO_FIND_AGAIN = 15.0
"""Time in which a restarted discovery worker must find a peer again, before the peer counts as lost."""


async def follow_discovery(dialer: Dialer, node: NodeShell) -> None:
    """Passes the peers of the discovery worker to the node. Survives restarts of that worker."""
    loop = asyncio.get_running_loop()
    missing: set[str] = set()
    while True:
        timer = loop.call_later(SECONDS_TO_FIND_AGAIN, _lose, node, missing)
        try:
            async for event in dialer.follow(FollowDiscovery()):
                match event:
                    case PeerFound(peer):
                        missing.discard(peer.key)
                        node.peer_found(peer)
                    case PeerLost(key):
                        node.peer_lost(key)
        except LinkLost:
            timer.cancel()
            missing = node.dial_plan.discovered_keys


def _lose(node: NodeShell, missing: set[str]) -> None:
    for key in missing:
        node.peer_lost(key)
