"""Forks workers, and represents the running ones for the supervisor."""

from __future__ import annotations

import contextlib
import gc
import importlib
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from peatnode.codec.frames import FrameBuffer
from peatnode.config import Config
from peatnode.ipc.frames import encode_frame, link_buffer
from peatnode.ipc.messages import CONTRACT, Hello, Message
from peatnode.supervision.workers import WorkerSpec
from peatnode.worker.context import WorkerContext
from peatnode.worker.lifetime import die_with_parent, exit_process
from peatnode.worker.wall_clock import read_steady

_fork = multiprocessing.get_context("fork")

RESET_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""Signals whose handlers a child resets."""


@dataclass(slots=True)
class Child:
    """A running worker: its process, and the supervisor's end of the control link."""

    name: str
    process: multiprocessing.process.BaseProcess
    pidfd: int
    control: socket.socket
    frames: FrameBuffer
    started_at: float
    """Of the steady clock."""
    memory_bytes: int = 0
    stall_seconds: float = 0.0

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def send(self, message: Message) -> None:
        """Sends a message, or drops it if the buffer is full.
        A worker that does not read is killed for its missing pongs."""
        with contextlib.suppress(OSError):
            self.control.send(encode_frame(message, 0), socket.MSG_DONTWAIT)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def exit_status(self) -> int | None:
        """The exit status, or minus the number of the signal that killed it; None while it runs."""
        return self.process.exitcode

    def close(self) -> None:
        """Closes the descriptors. Called after the process has exited."""
        os.close(self.pidfd)
        self.control.close()
        self.process.close()


@dataclass(frozen=True, slots=True)
class WorkerSpawner:
    """Forks workers. Each worker keeps its own sockets and closes those of all others."""

    config: Config
    instance: str
    instance_seed: bytes = field(repr=False)
    listeners: Mapping[str, socket.socket]
    close_in_child: Callable[[], None]
    """Closes the descriptors that belong to the supervisor alone."""

    def fork(self, spec: WorkerSpec) -> Child:
        """Starts a worker. Raises OSError if the system has no process or descriptor left."""
        supervisor_end, worker_end = socket.socketpair()
        process = _fork.Process(
            target=self._run,
            args=(spec, os.getpid(), supervisor_end, worker_end),
            name=f"peatnode-{spec.name}",
        )
        # A signal that reaches the child before it has reset its handlers would wake up the parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, RESET_SIGNALS)
        try:
            process.start()
        except OSError:
            supervisor_end.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            worker_end.close()
        supervisor_end.setblocking(False)
        assert process.pid is not None
        child = Child(
            spec.name,
            process,
            os.pidfd_open(process.pid),
            supervisor_end,
            link_buffer(),
            read_steady(),
        )
        child.send(Hello("supervisor", os.getpid(), CONTRACT))
        return child

    def _run(
        self,
        spec: WorkerSpec,
        parent: int,
        supervisor_end: socket.socket,
        worker_end: socket.socket,
    ) -> None:
        """The main function of the child process."""
        gc.disable()  # until its imports are done: `settle_memory` enables it
        try:
            die_with_parent(parent)
            _reset_signals()
            _rename(spec.name)
            supervisor_end.close()
            self.close_in_child()
            mine = {name: self.listeners[name] for name in spec.listeners}
            for name, sock in self.listeners.items():
                if name not in mine:
                    sock.close()
            context = WorkerContext(
                spec.name, self.config, self.instance, self.instance_seed, worker_end, mine
            )
            importlib.import_module(spec.module).run(context)
        except BaseException:
            import traceback

            traceback.print_exc()
            exit_process(1)
        exit_process(1)  # `run` never returns


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in RESET_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _rename(name: str) -> None:
    """Sets the name that `ps` and `top` show."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as comm:
        comm.write(f"peat-{name}")
