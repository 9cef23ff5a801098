"""Starts the discovery worker: opens its sources, serves its socket and watches the network interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import random

from peatnode.config import SOURCE_NAMES, Config
from peatnode.ipc.link import Link, serve
from peatnode.ipc.messages import GetNode
from peatnode.worker.shell import WorkerShell
from workers.discovery.factory import open_source
from workers.discovery.network import drain_changes, open_changes, read_adapters
from workers.discovery.peer_table import PeerTable
from workers.discovery.service import DiscoveryService
from workers.discovery.source import ThisNode

NETWORK_SECONDS = 60.0
"""Between two checks of the interfaces if the kernel reports no change, plus or minus a fifth."""

SETTLE_SECONDS = 0.5
"""Delay after a change, because changes arrive in bursts."""

GOODBYE_SECONDS = 2.0
"""Time for the sources to withdraw their announcements when the node stops."""


async def main(shell: WorkerShell) -> None:
    config = shell.config
    node = ThisNode(
        instance=shell.context.instance,
        port=config.quic_port or await _ask_port(config),
        adapters=read_adapters(),
    )
    table = PeerTable(node.instance, node.own_addresses(config.quic_host), SOURCE_NAMES)
    service = DiscoveryService(shell, table)
    sources = [open_source(name, config, node, service) for name in config.discovery]
    service.sources = sources
    server = await serve(
        shell.context.listeners["discovery"], "discovery", service.on_message, service.on_close
    )
    shell.ready()
    left = 0.0
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(source.run()) for source in sources]
        tasks.append(group.create_task(_watch_network(config, node, service, table)))
        left = await shell.wait_stop()
        for task in tasks:
            task.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(left, GOODBYE_SECONDS)):
            for source in sources:
                await source.close()
    await server.close()


async def _ask_port(config: Config) -> int:
    """The QUIC port that the system chose, if the configuration leaves the choice to it."""
    async with await Link.connect(config.run_dir / "supervisor.sock", "discovery") as link:
        return (await link.ask(GetNode())).quic_port


async def _watch_network(
    config: Config, node: ThisNode, service: DiscoveryService, table: PeerTable
) -> None:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()
    changes = open_changes()
    if changes is not None:
        loop.add_reader(changes, changed.set)
    while True:
        pause = NETWORK_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311  # jitter
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await changed.wait()
        if changes is not None:
            await asyncio.sleep(SETTLE_SECONDS)
            drain_changes(changes)
        changed.clear()
        try:
            node.adapters = read_adapters()
        except OSError:
            continue  # the interfaces are changing; the next check reads them again
        service.publish(table.replace_own_addresses(node.own_addresses(config.quic_host)))
        for source in service.sources:
            source.adapters_changed(node.adapters)
