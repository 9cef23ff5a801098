"""One small update to a document with 1, 1,000 and 10,500 client ids, and what others wait for meanwhile.

The first part measures the replica alone. The second sends 4,000 updates to a real store, 500 at a time, while another
client writes one small document after another. No engine runs, which would compute the value of the document meanwhile.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from bench.http_load import percentiles
from bench.report import keep
from peatnode.documents.names import document_key
from peatnode.documents.replica.replica import Replica
from peatnode.model.documents import Outcome
from tests.support.crowded_store import crowd, fill
from tests.support.many_clients import client_of, edits, to_document, written_by
from tests.support.memory_kv import MemoryKeyValue, commit
from tests.support.store_node import StoreNode

CLIENTS = (1, 1000, 10_500)
UPDATES = 1000
COMPACT_EVERY = 200
"""As the store does, in a thread: the time of it is not counted here."""
BURST = 4000
KEY = document_key("c", "many")


def update_seconds(clients: int) -> float:
    """Seconds of one update: join, and the writes of its batch."""
    kv = MemoryKeyValue()
    replica = Replica(kv, 1)
    for update in written_by(clients):
        replica.join(to_document(update), "peer")
        commit(replica)
    replica.compact(KEY)
    commit(replica)
    taken = 0.0
    for number, update in enumerate(edits(client_of(0), 1, UPDATES)):
        started = time.perf_counter()
        result = replica.join(to_document(update), "client x")
        commit(replica)
        taken += (time.perf_counter() - started) if number >= COMPACT_EVERY else 0.0
        assert result.outcome is Outcome.APPLIED
        if number % COMPACT_EVERY == COMPACT_EVERY - 1:
            replica.compact(KEY)
            commit(replica)
    return taken / (UPDATES - COMPACT_EVERY)


async def waits(clients: int) -> dict[str, float]:
    """What another client waits for its writes while a crowd writes."""
    with tempfile.TemporaryDirectory(prefix="peat-", dir="/var/tmp") as directory:
        async with StoreNode(Path(directory), engine=False) as node:
            await fill(node, clients)
            await crowd(node, clients, BURST // 10)
            done = await crowd(node, clients, BURST, before=BURST // 10)
            return {
                **percentiles(done.others),
                "writes": len(done.others),
                "updates_per_second": round(done.updates / done.seconds),
                "restarts": len(node.store.exits),
            }


def main() -> None:
    costs = {clients: min(update_seconds(clients) for _ in range(3)) for clients in CLIENTS}
    others = {clients: asyncio.run(waits(clients)) for clients in (1, CLIENTS[-1])}
    keep(
        "clients",
        {
            "ms_per_update": {clients: round(1000 * cost, 4) for clients, cost in costs.items()},
            "ratio": round(costs[CLIENTS[-1]] / costs[CLIENTS[0]], 2),
            "others": others,
        },
    )


if __name__ == "__main__":
    main()
