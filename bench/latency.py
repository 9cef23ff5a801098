"""From a write on node A over HTTP to its event on the last node's WebSocket: 2, 3 and 10 nodes.

A bare QUIC echo is measured for comparison.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop
import websockets

from bench.baselines import quic_echo, quic_round_trips
from bench.http_load import document, percentiles, put
from bench.report import keep
from tests.support.nodes import Node, nodes

COUNT = 1000
WARM_UP = 300


async def measure(first: Node, last: Node, count: int) -> dict[str, float]:
    seen: list[float] = []
    url = last.url.replace("http", "ws") + "/ws?collection=latency"
    reader, writer = await asyncio.open_connection("127.0.0.1", first.api_port)
    async with websockets.connect(url) as socket:
        for number in range(count + WARM_UP):
            body = document(number)
            started = time.perf_counter()
            writer.write(put(first.api_port, f"/api/v1/documents/latency/{number}", body))
            await wait_event(socket, str(number))
            if number >= WARM_UP:
                seen.append(time.perf_counter() - started)
            await read_answer(reader)
    writer.close()
    return percentiles(seen)


async def read_answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if head[9:12] not in (b"200", b"201"):
        raise SystemExit(f"unexpected answer: {head!r}")
    length = next(
        line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    await reader.readexactly(int(length[15:]))


async def wait_event(socket, doc_id: str) -> None:
    async with asyncio.timeout(20):
        while True:
            event = json.loads(await socket.recv())
            if event["type"] == "SyncEvent" and event["doc_id"] == doc_id:
                return


def main() -> None:
    figures = {}
    for size in [int(argument) for argument in sys.argv[1:] if argument.isdigit()] or [2, 3, 10]:
        with nodes(size) as running:
            figures[f"{size} nodes"] = uvloop.run(
                measure(running[0], running[-1], COUNT if size < 10 else 300)
            )
    with quic_echo() as port:
        bare = percentiles(quic_round_trips(port, COUNT))
    ratio = round(
        figures.get("2 nodes", next(iter(figures.values())))["p50_ms"] / bare["p50_ms"], 2
    )
    keep("latency", {"write_to_event": figures, "bare_quic_round_trip": bare, "ratio_p50": ratio})


if __name__ == "__main__":
    main()
