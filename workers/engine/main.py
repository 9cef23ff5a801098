"""Starts the engine: serves engine.sock until the worker stops."""

from __future__ import annotations

import asyncio

from peatnode.ipc.link import serve
from peatnode.worker.shell import WorkerShell
from workers.engine.service import EngineService


async def main(shell: WorkerShell) -> None:
    service = EngineService(shell)
    server = await serve(shell.context.listeners["engine"], "engine", service.on_message)
    watch = asyncio.create_task(service.watch())
    shell.ready()
    await shell.wait_stop()
    watch.cancel()
    await server.close()
