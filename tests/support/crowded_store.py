"""A store with one document that many clients write, and another client that writes small documents meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from peatnode.ipc.messages import AppliedReply, ApplyUpdates, Outcome
from tests.support.many_clients import client_of, edits, to_document, written_by
from tests.support.store_node import StoreNode

OUTSTANDING = 500
"""Updates that the store has not answered."""
WRITERS = 20
"""Clients that write at once, each from its first clock on."""


@dataclass
class Crowd:
    """What a crowd did, and how long others waited for their writes."""

    seconds: float = 0.0
    """Until all updates were on disk."""
    updates: int = 0
    others: list[float] = field(default_factory=list)
    """Seconds of each write of a small document."""
    is_over: bool = False
    """Ends the others after their last write, so that at least one counts."""


async def fill(node: StoreNode, clients: int) -> None:
    """Writes the document "many" by so many clients."""
    for update in written_by(clients):
        await apply(node, update)


async def apply(node: StoreNode, update: bytes) -> None:
    reply = await node.ask(ApplyUpdates((to_document(update),), "client x"), 300.0)
    assert isinstance(reply, AppliedReply)
    assert reply.outcomes == (Outcome.APPLIED,), reply


async def _apply_within(outstanding: asyncio.Semaphore, node: StoreNode, update: bytes) -> None:
    async with outstanding:
        await apply(node, update)


async def crowd(node: StoreNode, clients: int, updates: int, before: int = 0) -> Crowd:
    """Sends so many small updates at once, from some of the clients; others write one small document after another.

    `before` is how many updates an earlier crowd has sent.
    """
    done = Crowd(updates=updates)
    writers = [client_of(number * clients // WRITERS) for number in range(min(WRITERS, clients))]
    each = updates // len(writers)
    started = time.perf_counter()
    outstanding = asyncio.Semaphore(OUTSTANDING)
    others = asyncio.create_task(_write_small(node, done))
    sent = [
        asyncio.create_task(_apply_within(outstanding, node, update))
        for batch in zip(
            *(edits(writer, 1 + before // len(writers), each) for writer in writers), strict=True
        )
        for update in batch
    ]
    await asyncio.gather(*sent)
    done.seconds = time.perf_counter() - started
    done.is_over = True
    await others
    return done


async def _write_small(node: StoreNode, done: Crowd) -> None:
    number = 0
    while not done.is_over:
        started = time.perf_counter()
        await node.put("others", f"d{number % 50}", b'{"n":%d}' % number)
        done.others.append(time.perf_counter() - started)
        number += 1
