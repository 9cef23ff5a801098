"""From `peatnode run` to ready: an empty node, compared with a Python that only imports the same libraries.

With `--documents 1000000`, a node with so many documents: after an orderly stop, after SIGKILL with 49,000 changes
since its checkpoint, and without a checkpoint. It takes some minutes.
"""

from __future__ import annotations

import argparse
import http.client
import random
import subprocess
import sys
import time
from pathlib import Path

from bench.report import keep, spread
from peatnode.documents.json import root_maps
from peatnode.documents.json.diff import plan
from peatnode.documents.json.value import dump
from peatnode.documents.names import document_key
from peatnode.documents.replica.keyspace import CHECKPOINT, FEED, number
from peatnode.documents.replica.replica import Replica
from tests.support.nodes import Node, nodes
from workers.store.disk.database import Database
from workers.store.maintenance import FEED_CHANGES

IMPORTS = "import aioquic.quic.connection, falcon.asgi, gunicorn.app.base, rocksdict, uvicorn, y_py, msgpack, structlog"
RUNS = 7
LARGE_RUNS = 3
CHANGES = 49_000
"""Just below the number at which the store writes the next checkpoint."""
COLLECTIONS = 5
BATCH = 1000


def empty_node() -> dict:
    starts, bare = [], []
    with nodes(1, start=False) as (node,):
        for _ in range(RUNS):
            starts.append(node.start())
            node.stop()
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", IMPORTS], check=True)
            bare.append(time.perf_counter() - began)
    ours, theirs = spread(starts), spread(bare)
    ratio = round(ours["median"] / theirs["median"], 2)
    return {"seconds": ours, "bare_imports": theirs, "ratio": ratio}


def fill(directory: Path, documents: int) -> None:
    """Writes small documents as the store does, without its requests."""
    (directory / "store").mkdir()
    database = Database(directory / "store")
    replica = Replica(database, 1)
    for first in range(0, documents, BATCH):
        for at in range(first, first + BATCH):
            target = {"name": f"document {at}", "count": at}
            steps = plan(root_maps.NO_ROOT_MAPS.shape(), target)
            update = root_maps.change(root_maps.NO_ROOT_MAPS, steps, replica.client, 0)
            replica.write(document_key(*names(at)), update, dump(target))
        batch = replica.take_batch()
        database.write(batch.writes())
        replica.committed(batch)
    oldest = max(1, replica.sequence - FEED_CHANGES + 1)
    database.delete_range(FEED, FEED + number(oldest))
    database.flush()
    database.close()


def names(at: int) -> tuple[str, str]:
    return f"c{at % COLLECTIONS}", f"{at:08}"


def overwrite(node: Node, documents: int, count: int) -> None:
    """Overwrites random documents of one collection over HTTP."""
    ids = random.sample(range(0, documents, COLLECTIONS), min(count, documents // COLLECTIONS))
    value = f"at {time.time_ns()}"
    lines = "".join(f'{{"_id":"{at:08}","name":"{value}"}}\n' for at in ids)
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=300)
    headers = {"Content-Type": "application/x-ndjson"}
    connection.request("POST", "/api/v1/documents/c0?bulk=true", lines, headers)
    answers = connection.getresponse().read().splitlines()
    connection.close()
    if len(answers) < len(ids):
        raise SystemExit(f"{len(answers)} answers to {len(ids)} writes")


def large_node(documents: int) -> dict:
    stopped, killed, scanned = [], [], []
    with nodes(1, start=False) as (node,):
        fill(node.directory, documents)
        first = node.start(120)
        for _ in range(LARGE_RUNS):
            node.stop()
            stopped.append(node.start())
            overwrite(node, documents, CHANGES)
            node.kill()
            killed.append(node.start())
        root, memory = node.root(), node.memory_bytes()["all"]
        for _ in range(LARGE_RUNS):
            node.stop()
            database = Database(node.directory / "store")
            database.write([(CHECKPOINT, None)])
            database.close()
            scanned.append(node.start(120))
            if node.root() != root:
                raise SystemExit("a scan found another root")
    return {
        "documents": documents,
        "first_start_seconds": round(first, 2),
        "after_stop_seconds": spread(stopped),
        "after_kill_seconds": spread(killed),
        "changes_before_kill": CHANGES,
        "without_checkpoint_seconds": spread(scanned),
        "memory_mib": round(memory / 2**20, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--documents", type=int, default=0)
    documents = parser.parse_known_args()[0].documents
    if documents:
        keep("start_large", large_node(documents))
    else:
        keep("start", empty_node())


if __name__ == "__main__":
    main()
