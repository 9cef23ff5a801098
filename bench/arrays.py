"""Writes to 2,000 documents with two arrays each, 47 a second: latencies, memory, CPU, replacements of the engine.

Before that the same writes as fast as 16 clients can send them. `SECONDS=600` for a longer run.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time

import uvloop

from bench.http_load import load, percentiles, put
from bench.latency import read_answer
from bench.report import keep
from tests.support.nodes import Node, nodes

SECONDS = int(os.environ.get("SECONDS", "150"))
DOCUMENTS = 2000
RATE = 47
CLIENTS = 8
BURST = 10_000
PATH = "/api/v1/documents/arrays/{}"


def document(number: int) -> bytes:
    rng = random.Random(number)
    tags = [f"tag-{rng.randrange(10_000)}" for _ in range(10)]
    points = [[rng.randrange(1000), rng.randrange(1000)] for _ in range(10)]
    return json.dumps({"name": f"document {number}", "tags": tags, "points": points}).encode()


def change(port: int, number: int) -> bytes:
    """Appends to both arrays, and removes the oldest element of each."""
    body = json.dumps(
        [
            {"op": "remove", "path": "/tags/0"},
            {"op": "add", "path": "/tags/-", "value": f"tag-{number}"},
            {"op": "remove", "path": "/points/0"},
            {"op": "add", "path": "/points/-", "value": [number, number]},
        ]
    ).encode()
    head = (
        f"PATCH {PATH.format(number % DOCUMENTS)} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Content-Type: application/json-patch+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def steady(node: Node, seconds: float) -> list[float]:
    """Latencies of writes that are due RATE times a second, whether or not the earlier ones are answered."""
    due: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
    latencies: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.api_port)
        while True:
            number, started = await due.get()
            writer.write(change(node.api_port, number))
            await read_answer(reader)
            latencies.append(time.perf_counter() - started)
            due.task_done()

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    started = time.perf_counter()
    for number in range(int(seconds * RATE)):
        await asyncio.sleep(max(0.0, started + number / RATE - time.perf_counter()))
        due.put_nowait((number, time.perf_counter()))
    await due.join()
    for task in clients:
        task.cancel()
    return latencies


def recycles(node: Node) -> int:
    workers = node.get("/node")["workers"]
    return int(next(worker["recycles"] for worker in workers if worker["name"] == "engine"))


def main() -> None:
    with nodes(1) as (node,):
        port = node.api_port
        load(port, 16, lambda number: put(port, PATH.format(number), document(number)), DOCUMENTS)
        before, cpu = recycles(node), node.cpu_seconds()
        burst = load(port, 16, lambda number: change(port, number), BURST)
        burst_cpu, burst_recycles = node.cpu_seconds() - cpu, recycles(node) - before
        before, cpu = recycles(node), node.cpu_seconds()
        started = time.monotonic()
        latencies = uvloop.run(steady(node, SECONDS))
        taken = time.monotonic() - started
        cpu, count = node.cpu_seconds() - cpu, recycles(node) - before
        memory = node.memory_bytes()
    keep(
        "arrays",
        {
            "documents": DOCUMENTS,
            "burst": {
                **burst,
                "writes": BURST,
                "cpu_ms_per_write": round(1000 * burst_cpu / BURST, 3),
                "engine_recycles": burst_recycles,
            },
            "steady_writes_per_second": round(len(latencies) / taken, 1),
            "steady_seconds": round(taken),
            "steady": percentiles(latencies),
            "steady_cpu_percent": round(100 * cpu / taken, 1),
            "engine_recycles": count,
            "seconds_per_recycle": round(taken / count, 1) if count else None,
            "memory_mib": {name: round(size / 2**20, 1) for name, size in memory.items()},
        },
    )


if __name__ == "__main__":
    main()
