"""A store whose document many clients write: others are served, heartbeats are answered, and nothing is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from peatnode.documents.limits import STATE_LIMITS
from peatnode.documents.yjs.state_vector import decode_state_vector
from peatnode.ipc.messages import Pong, ReadState
from tests.support.crowded_store import WRITERS, crowd, fill
from tests.support.many_clients import client_of
from tests.support.store_node import StoreNode

pytestmark = pytest.mark.timeout(120)

CLIENTS = 10_500
UPDATES = 1500
LONGEST_WAIT = 10.0
"""Seconds. It takes 0.3 s here; when each update copied the clocks of all clients, it took 9.8 s."""


async def test_others_are_served_while_a_crowd_writes(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        await fill(node, CLIENTS)
        pinging = asyncio.create_task(ping(node))
        done = await crowd(node, CLIENTS, UPDATES)
        pinging.cancel()
        assert done.others
        assert max(done.others) < LONGEST_WAIT
        assert node.store.exits == []
        state = await node.ask(ReadState("c", "many", b"\0"))
        vector = decode_state_vector(state.state_vector, STATE_LIMITS)
        assert len(vector) == CLIENTS
        assert vector[client_of(0)] == 1 + UPDATES // WRITERS
        pongs = [said for said in node.store.said if isinstance(said, Pong)]
        assert len(pongs) > 2
        assert pongs[-1].turned > pongs[0].turned


async def ping(node: StoreNode) -> None:
    """Pings again as soon as the answer is there."""
    number = 0
    while True:
        number += 1
        node.store.ping(number)
        while not any(isinstance(said, Pong) and said.number == number for said in node.store.said):
            await asyncio.sleep(0.02)
