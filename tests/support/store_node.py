"""A store and an engine as real processes, and a stand-in for their supervisor."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.link import Dialer
from peatnode.ipc.messages import (
    CONTRACT,
    ApplyUpdates,
    DocumentUpdate,
    Hello,
    JudgeClock,
    Message,
    Ping,
    ProblemCleared,
    ProblemRaised,
    RecycleMe,
    StopWorker,
    WorkerReady,
    WriteDocument,
    WriteKind,
    WrittenReply,
)
from peatnode.model.clock import ClockState, ClockVerdict
from peatnode.worker.wall_clock import read_clock
from tests.support.processes import node_environment, start_worker

SECONDS = 20.0

LONG = "x" * 20_000
"""A text that makes a document so large that only the engine reads it."""


class Worker:
    """One process; restarted when it was killed or asked to be replaced, if it is to be."""

    def __init__(self, node: StoreNode, name: str, restarts: bool) -> None:
        self.node, self.name, self.restarts = node, name, restarts
        self.problems: dict[str, ProblemRaised] = {}
        self.said: list[Message] = []
        self.exits: list[int] = []
        self.is_ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.recycles = 0
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = node.run_dir / f"{name}.sock"
        path.unlink(missing_ok=True)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self.process: subprocess.Popen[bytes] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        self.ended.clear()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self._live()
            self.exits.append(await asyncio.to_thread(self.process.wait))  # type: ignore[union-attr]
            if not self.restarts or self.node.is_stopping:
                self.ended.set()
                return

    async def _live(self) -> None:
        ours, theirs = socket.socketpair()
        listeners = {self.name: self._listener}
        self.process = start_worker(self.name, "0" * 32, theirs, listeners, self.node.env)
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        self._writer = writer
        writer.write(encode_frame(Hello("supervisor", os.getpid(), CONTRACT), 0))
        frames = link_buffer()
        try:
            while data := await reader.read(65536):
                for content in frames.receive_data(data):
                    self._heard(decode_content(content)[1])
        except ConnectionError:
            pass
        finally:
            self.is_ready.clear()
            writer.close()

    def _heard(self, message: Message) -> None:
        self.said.append(message)
        match message:
            case WorkerReady():
                self.is_ready.set()
            case ProblemRaised(name):
                self.problems[name] = message
            case ProblemCleared(name):
                self.problems.pop(name, None)
            case RecycleMe():
                self.recycles += 1
                self.stop()

    def ping(self, number: int) -> None:
        self._writer.write(encode_frame(Ping(number), 0))

    def stop(self, seconds: float = 5.0) -> None:
        self._writer.write(encode_frame(StopWorker(seconds), 0))

    def kill(self) -> None:
        assert self.process is not None
        self.is_ready.clear()
        self.process.send_signal(signal.SIGKILL)

    async def wait_ready(self) -> None:
        ready, ended = (
            asyncio.create_task(self.is_ready.wait()),
            asyncio.create_task(self.ended.wait()),
        )
        await asyncio.wait([ready, ended], timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel(), ended.cancel()
        assert self.is_ready.is_set(), f"{self.name} is not ready: {self.exits} {self.problems}"

    async def wait_ended(self) -> int:
        await asyncio.wait_for(self.ended.wait(), SECONDS)
        return self.exits[-1]

    def close(self) -> None:
        self._listener.close()


class StoreNode:
    """`async with StoreNode(path) as node: await node.put("c", "id", b"{}")`"""

    def __init__(
        self, data_dir: Path, restarts: bool = True, engine: bool = True, **env: str
    ) -> None:
        # not on a tmpfs, where the witness would be in it: a restart gets another directory
        self.run_dir = Path(tempfile.mkdtemp(prefix="peat-", dir="/var/tmp"))
        self.is_stopping = False
        variables = {"HOSTNAME": "node-a", "PEAT_RUN_DIR": str(self.run_dir), "PEAT_LOG": "warn"}
        self.env = node_environment(data_dir, **variables | env)
        self.store = Worker(self, "store", restarts)
        self.engine = Worker(self, "engine", restarts)
        self._has_engine = engine
        self.dialer = Dialer(self.run_dir / "store.sock", "test")

    async def __aenter__(self) -> StoreNode:
        self.store.start()
        if self._has_engine:
            self.engine.start()
            await self.engine.wait_ready()
        await self.store.wait_ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self.is_stopping = True
        await self.dialer.close()
        for worker in (self.store, self.engine):
            if worker.process is not None and worker.process.poll() is None:
                worker.stop()
                try:
                    await worker.wait_ended()
                except TimeoutError:
                    worker.kill()
                    raise
            worker.close()
        shutil.rmtree(self.run_dir, ignore_errors=True)

    async def ask(self, message: Any, timeout: float = SECONDS) -> Any:
        return await self.dialer.ask(message, timeout)

    async def put(
        self,
        collection: str,
        document: str,
        body: bytes,
        kind: WriteKind = WriteKind.PUT,
        **more: Any,
    ) -> WrittenReply:
        if more.get("expires_at", -1.0) > 0:
            await self.ask(JudgeClock(ClockVerdict(ClockState.RIGHT, ""), read_clock().shift))
        return await self.ask(WriteDocument(collection, document, kind, body, **more))  # type: ignore[no-any-return]

    async def apply(
        self, document: str, update: bytes, incarnation: int = 1, origin: str = "peer"
    ) -> Any:
        sent = DocumentUpdate("c", document, incarnation, False, 0.0, update)
        return await self.ask(ApplyUpdates((sent,), origin))
