"""A serving process: a gunicorn worker with one loop, its services and its connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

import uvicorn.config
import uvloop
from gunicorn.workers.base import Worker

from workers.broker.app import build_app
from workers.broker.gate import RequestGate
from workers.broker.http.limits import BrokerLimits
from workers.broker.server.connection import ConnectionState, HttpConnection, WebSocketConnection
from workers.broker.services import BrokerServices
from workers.broker.settings import BrokerSettings

NOTIFY_SECONDS = 10.0
"""Interval of the notifications to gunicorn, which kills a silent worker after `master.HANG_SECONDS`."""

WEBSOCKET_BYTES = 8 * 1024 * 1024
"""Maximum size of one message of a client."""

PING_SECONDS = 20.0
"""Interval of WebSocket pings, and time to answer one."""

DRAIN_SECONDS = 3.0
"""Time for requests to finish when the node stops; then they are cancelled."""

SETTLE_SECONDS = 0.05
"""Time for requests that have arrived to get a task, before the tasks are awaited."""


class BrokerWorker(Worker):  # type: ignore[misc]
    """The process that gunicorn forks."""

    def init_signals(self) -> None:
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # Ctrl-C reaches every process; the supervisor decides
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> None:
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, stopping.set)
        settings: BrokerSettings = self.app.settings
        server = HttpServer(settings)
        await server.start([sock.sock for sock in self.sockets])
        loop.add_reader(self.app.heartbeat.reader, self.app.heartbeat.receive)
        self.app.signal_ready()
        while not stopping.is_set():
            self.notify()
            if os.getppid() != self.ppid:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(NOTIFY_SECONDS):
                    await stopping.wait()
        await server.stop(DRAIN_SECONDS)


class HttpServer:
    """Accepts connections, and lets their requests finish before it stops."""

    def __init__(self, settings: BrokerSettings) -> None:
        self.services = BrokerServices(settings)
        loop = asyncio.get_running_loop()
        self._state = ConnectionState(settings.limits, self.services.counters, loop)
        self._config = _uvicorn_config(build_app(self.services), settings.limits)
        self._listeners: list[asyncio.AbstractServer] = []

    async def start(self, sockets: list[Any]) -> None:
        loop = asyncio.get_running_loop()
        for sock in sockets:
            listener = await loop.create_server(self._connect, sock=sock, backlog=1024)
            self._listeners.append(listener)

    def _connect(self) -> HttpConnection:
        return HttpConnection(self._config, self._state)

    async def stop(self, seconds: float) -> None:
        """Fails readiness, ends streams, waits `seconds` for requests, then closes connections."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        self.services.begin_stop()
        await asyncio.sleep(SETTLE_SECONDS)
        await self._wait_tasks(deadline)
        for listener in self._listeners:
            listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._wait_tasks(deadline)
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.sleep(0)
        await self.services.close()

    async def _wait_tasks(self, deadline: float) -> None:
        tasks = list(self._state.tasks)
        remaining = deadline - asyncio.get_running_loop().time()
        if tasks and remaining > 0:
            await asyncio.wait(tasks, timeout=remaining)


def _uvicorn_config(app: RequestGate, limits: BrokerLimits) -> uvicorn.config.Config:
    config = uvicorn.config.Config(
        app,
        http=HttpConnection,
        ws=WebSocketConnection,
        loop="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(limits.keepalive_seconds),
        ws_max_size=WEBSOCKET_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
    )
    config.load()
    return config
