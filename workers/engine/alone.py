"""Runs an operation in a process of its own, which may not take more CPU time and memory than its bounds.

y-py cannot be interrupted, and ends its process when it fails badly or gets no memory. A forked child bears all that:
the engine goes on with other documents, and the kernel kills the child at its bounds.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from peatnode.codec.frames import FrameBuffer
from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import EngineOutcome, Operation, OperationResult, OperationsReply
from peatnode.worker.lifetime import die_with_parent
from workers.engine.memory import limit_address_space
from workers.engine.pool import DocumentPool

CPU_SECONDS = 5.0
"""CPU time of one operation. The most expensive one that is not an attack takes a fifth of it."""

WALL_SECONDS = 30
"""A child that runs longer, because it gets no CPU, is killed too."""

NICENESS = 5
"""Children yield to the other processes of the node."""

NO_MEMORY = b"memory allocation of"
"""With these words Rust ends a process that gets no memory."""


class _End(StrEnum):
    """How a child ended, as far as its result does not say it."""

    NO_MEMORY = "the operation takes more memory than an operation may"
    NO_TIME = "the operation takes more time than an operation may"
    KILLED = "the operation would kill the engine"


@dataclass(slots=True)
class _Child:
    pid: int
    results: int
    """The pipe from which its result is read."""
    errors: int
    """A file in memory with what it wrote to its standard error."""
    frames: FrameBuffer
    on_done: Callable[[OperationResult], None]
    result: OperationResult | None = None


class AloneRunner:
    """Runs operations one after the other, each in a forked child, while the loop goes on."""

    def __init__(self, make_pool: Callable[[], DocumentPool], memory_bytes: int) -> None:
        """`memory_bytes`: memory that a child may take beside what the engine has."""
        self._make_pool = make_pool
        self._memory_bytes = memory_bytes
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[Operation, Callable[[OperationResult], None]]] = deque()
        self._running: _Child | None = None

    def run(self, operation: Operation, on_done: Callable[[OperationResult], None]) -> None:
        """Calls `on_done` with the result, when the operation has had its turn."""
        self._queue.append((operation, on_done))
        self._start_next()

    def _start_next(self) -> None:
        if self._running is not None or not self._queue:
            return
        operation, on_done = self._queue.popleft()
        reading, writing = os.pipe()
        errors = os.memfd_create("errors")
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            self._be_child(operation, parent, writing, errors)
        os.close(writing)
        child = _Child(pid, reading, errors, link_buffer(), on_done)
        self._running = child
        if pid < 0:
            self._end(child, _failed(EngineOutcome.TOO_COSTLY, _End.NO_MEMORY))
            return
        os.set_blocking(reading, False)
        self._loop.add_reader(reading, self._read, child)

    def _be_child(self, operation: Operation, parent: int, writing: int, errors: int) -> None:
        """The whole life of a child, which never returns."""
        try:
            gc.disable()
            die_with_parent(parent)
            os.dup2(errors, 2)
            _limit_child(self._memory_bytes)
            try:
                result = self._make_pool().run(operation)
            except MemoryError:
                result = _failed(EngineOutcome.TOO_COSTLY, _End.NO_MEMORY)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(encode_frame(OperationsReply((result,)), 0))
        finally:
            os._exit(0)

    def _read(self, child: _Child) -> None:
        try:
            data = os.read(child.results, 1024 * 1024)
        except BlockingIOError:
            return
        if data:
            for content in child.frames.receive_data(data):
                _, reply = decode_content(content)
                assert isinstance(reply, OperationsReply)
                child.result = reply.results[0]
            return
        self._loop.remove_reader(child.results)
        status = os.waitpid(child.pid, 0)[1]
        self._end(child, child.result or _result_of_end(status, child.errors))

    def _end(self, child: _Child, result: OperationResult) -> None:
        os.close(child.results)
        os.close(child.errors)
        self._running = None
        child.on_done(result)
        self._start_next()


def _limit_child(memory_bytes: int) -> None:
    """Sets the bounds of a forked child. At each of them the kernel ends it, whatever it is doing."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.alarm(WALL_SECONDS)
    limit_address_space(memory_bytes)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)


def _result_of_end(status: int, errors: int) -> OperationResult:
    killer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if killer in (signal.SIGPROF, signal.SIGALRM):
        return _failed(EngineOutcome.TOO_COSTLY, _End.NO_TIME)
    # without memory, Rust says so, and orjson crashes
    if killer == signal.SIGSEGV or NO_MEMORY in os.pread(errors, 64 * 1024, 0):
        return _failed(EngineOutcome.TOO_COSTLY, _End.NO_MEMORY)
    return _failed(EngineOutcome.PANICKED, _End.KILLED)


def _failed(outcome: EngineOutcome, message: str) -> OperationResult:
    return OperationResult(outcome, b"", b"", str(message), "")
