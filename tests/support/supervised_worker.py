"""A worker that behaves as its test chooses: the environment's BEHAVIOURS is a JSON object, name to behaviour."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from typing import NoReturn

from peatnode.errors import BadConfiguration
from peatnode.worker.context import WorkerContext
from peatnode.worker.heartbeat import answer_in_loop
from peatnode.worker.lifetime import exit_process
from peatnode.worker.run import run_worker
from peatnode.worker.shell import WorkerShell
from peatnode.worker.threaded import answer_control_in_thread


def run(context: WorkerContext) -> NoReturn:
    behaviour = json.loads(os.environ["BEHAVIOURS"]).get(context.name, "good")
    match behaviour:
        case "killed at start":
            os.kill(os.getpid(), signal.SIGKILL)
        case "threaded":
            run_threaded(context)
        case "blocks without a thread":
            run_worker(context, lambda shell: main(shell, "blocks"), answer_in_loop)
    run_worker(context, lambda shell: main(shell, behaviour))


def run_threaded(context: WorkerContext) -> NoReturn:
    """Like gunicorn's master: the main thread blocks on other work."""
    reader, writer = socket.socketpair()
    control = answer_control_in_thread(context, lambda _: writer.close())
    from peatnode.ipc.messages import WorkerReady

    control.send(WorkerReady())
    reader.recv(1)
    exit_process(0)


async def main(shell: WorkerShell, behaviour: str) -> None:
    match behaviour:
        case "fails":
            raise RuntimeError("as the test wanted")
        case "refuses":
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(refuse())
        case "fails in the background":
            shell.ready()
            asyncio.get_running_loop().call_later(0.2, fail)
        case "is cut off":
            shell.ready()
            asyncio.get_running_loop().call_later(0.05, be_cut_off)
            asyncio.get_running_loop().call_later(0.2, shell.raise_problem, "after", "After.", "")
        case "wants to be replaced":
            shell.ready()
            if not os.path.exists(shell.config.data_dir / "replaced"):
                (shell.config.data_dir / "replaced").touch()
                shell.recycle("it is large")
        case "has a problem":
            shell.raise_problem("disk", "The disk is full.", "Free some space.", True)
            shell.raise_problem("passing", "A cold.", "Tea.")
            shell.clear_problem("passing")
            shell.ready()
        case "blocks":
            shell.ready()
            await asyncio.sleep(0.1)
            time.sleep(60)
        case "works for long":
            shell.ready()
            await asyncio.sleep(0.1)
            end = time.monotonic() + 2.0
            while time.monotonic() < end:
                pass
            (shell.config.data_dir / "worked").touch()
        case "speaks nonsense":
            shell.context.control.sendall(b"\xff" * 64)
        case _:
            if listener := shell.context.listeners.get(shell.context.name):
                asyncio.get_running_loop().create_task(answer(listener))
            shell.ready()
    await shell.wait_stop()
    with (shell.config.data_dir / "stops").open("a") as stops:
        stops.write(f"{shell.context.name}\n")
    if behaviour == "does not stop":
        await asyncio.sleep(60)


async def refuse() -> None:
    raise BadConfiguration("PEAT_DATA_DIR is of a newer version: run that version.")


def fail() -> None:
    raise RuntimeError("as the test wanted")


def be_cut_off() -> None:
    raise OSError(113, "No route to host")


async def answer(listener: socket.socket) -> None:
    """Sends its pid to each client that connects."""
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listener)
        await loop.sock_sendall(client, str(os.getpid()).encode())
        client.close()
