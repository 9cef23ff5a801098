"""A broker over HTTP: with the other workers in memory, or a whole node."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from tests.support.memory_node import MemoryNode
from workers.broker.http.limits import DEFAULT_LIMITS
from workers.broker.server.server import HttpServer
from workers.broker.settings import BrokerSettings

API_TOKEN = "write-token"
READ_TOKEN = "read-token"


@dataclass
class Served:
    """A broker and what is behind it."""

    node: MemoryNode
    server: HttpServer
    http: httpx.AsyncClient
    port: int

    def websocket_url(self, path: str) -> str:
        return f"ws://127.0.0.1:{self.port}{path}"


def listening_socket() -> socket.socket:
    """On a free port below those of outgoing connections."""
    for port in range(21000, 32000):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            sock.listen(128)
            sock.setblocking(False)
            return sock
        sock.close()
    raise AssertionError("no free port")


Serve = Callable[..., Awaitable[Served]]


@pytest.fixture
async def serve(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    """Starts a broker with the limits and tokens given."""
    open_ones: list[Served] = []

    async def start(api_token: str = "", read_token: str = "", **limits: float) -> Served:
        run_dir = tmp_path_factory.mktemp("run")
        node = MemoryNode(run_dir)
        await node.start()
        settings = BrokerSettings(
            node_id="memory",
            run_dir=run_dir,
            api_token=api_token,
            read_token=read_token,
            limits=replace(DEFAULT_LIMITS, **limits),  # type: ignore[arg-type]
        )
        sock = listening_socket()
        port = sock.getsockname()[1]
        server = HttpServer(settings)
        await server.start([sock])
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=20.0)
        served = Served(node, server, http, port)
        open_ones.append(served)
        return served

    yield start
    for served in open_ones:
        await served.http.aclose()
        await served.server.stop(1.0)
        await served.node.close()


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()


def run_dir_of(served: Served) -> Path:
    return served.node.run_dir
