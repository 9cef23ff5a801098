"""A light HTTP/1.1 client for load: it writes prepared requests on kept connections and reads by Content-Length."""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections.abc import Callable

import uvloop


class LoadConnection(asyncio.Protocol):
    """One client: it sends the next request when it has the whole answer to the last."""

    def __init__(
        self, next_request: Callable[[], bytes | None], expected: tuple[bytes, ...]
    ) -> None:
        self._next_request = next_request
        self._expected = expected
        self._buffer = b""
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def _send(self) -> None:
        request = self._next_request()
        if request is None:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        if self._buffer[9:12] not in self._expected:
            self.done.set_exception(SystemExit(f"unexpected answer: {self._buffer[:600]!r}"))
            self._transport.close()
            return
        self._buffer = b""
        self.latencies.append(time.perf_counter() - self._sent_at)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(SystemExit(f"the server closed the connection: {exc}"))


async def _run(
    port: int, clients: int, requests: Callable[[], bytes | None], expected: tuple[bytes, ...]
) -> tuple[float, list[float]]:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections = [
        (
            await loop.create_connection(
                lambda: LoadConnection(requests, expected), "127.0.0.1", port
            )
        )[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*[connection.done for connection in connections])
    taken = time.perf_counter() - started
    return taken, [latency for connection in connections for latency in connection.latencies]


def load(
    port: int,
    clients: int,
    make: Callable[[int], bytes],
    count: int,
    expected: tuple[bytes, ...] = (b"200", b"201"),
) -> dict[str, float]:
    """Sends `count` requests from `clients` kept connections; per second, and latencies in ms."""
    # Made before the clock starts: the load generator takes as little as possible of the shared cores.
    requests = iter([make(number) for number in range(count)])
    taken, latencies = uvloop.run(_run(port, clients, lambda: next(requests, None), expected))
    return {"per_second": round(count / taken, 1), **percentiles(latencies)}


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    pick = lambda share: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)  # noqa: E731
    return {"p50_ms": pick(0.5), "p99_ms": pick(0.99), "max_ms": pick(1)}


def put(port: int, path: str, body: bytes) -> bytes:
    return (
        f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(port: int, path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()


def document(number: int, size: int = 200) -> bytes:
    """A JSON object of `size` bytes with ten fields; the last is text that hardly compresses."""
    fields = "".join(
        f'"f{field}":{(number * 31 + field) % 1000:03d}9,' for field in range(8)
    ).replace(":0", ":1")
    start = f'{{"number":{number},{fields}"text":"'
    missing = size - len(start) - 2
    noise = base64.b64encode(random.Random(number).randbytes(missing)).decode()[:missing]
    return (start + noise + '"}').encode()
