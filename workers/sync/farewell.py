"""The end of the sync worker: whether the node leaves for good, and what its peers are told."""

from __future__ import annotations

import asyncio

from peatnode.errors import LinkError
from peatnode.ipc.link import Dialer
from peatnode.ipc.messages import GetDeparture
from peatnode.protocol.sync.events import StopOrdered
from peatnode.protocol.wire.errors import CloseCode
from workers.sync.node_shell import NodeShell

ASK_SECONDS = 1.0
"""Longest time for the answer of discovery, and of the store."""


async def say_goodbye(node: NodeShell, discovery: Dialer) -> None:
    """Has the store keep what is known of the peers, and closes all connections.

    They are closed for good if an operator has said so, or if discovery knows that the node does not come back.
    """
    node.handle(StopOrdered())
    is_for_good, _ = await asyncio.gather(
        is_departure(node, discovery), node.store.settle(ASK_SECONDS)
    )
    if is_for_good:
        node.endpoint.close_all(CloseCode.LEFT, "left for good")
    else:
        node.endpoint.close_all()


async def is_departure(node: NodeShell, discovery: Dialer) -> bool:
    if node.is_leaving:
        return True
    try:
        reply = await discovery.ask(GetDeparture(), ASK_SECONDS)
    except LinkError:  # it is not known: a node that comes back must not be forgotten
        return False
    if reply.is_for_good:
        node.log.info("Leaving the mesh for good", reason=reply.reason)
    return reply.is_for_good
