"""The main process of the broker: gunicorn's arbiter on the socket that the supervisor has bound.

gunicorn forks and watches the serving processes (`server.BrokerWorker`). A thread of the master answers the
supervisor. The modules of the routes are imported before the fork, so that the processes share their memory.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import signal
import struct
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger

from peatnode import logs
from peatnode.config import Config
from peatnode.ipc.messages import WorkerReady
from peatnode.worker.context import WorkerContext
from peatnode.worker.lifetime import die_with_parent, exit_process
from peatnode.worker.threaded import answer_control_in_thread
from workers.broker.http.limits import DEFAULT_LIMITS
from workers.broker.server.server import BrokerWorker
from workers.broker.settings import BrokerSettings

GRACE_SECONDS = 4
"""Time for the serving processes to stop; then gunicorn kills them."""

HANG_SECONDS = 30
"""gunicorn kills a serving process whose loop is blocked for this long."""

_TIME = struct.Struct("d")


def settings_of(context: WorkerContext) -> BrokerSettings:
    """The settings of the broker in the configuration of the node."""
    config: Config = context.config
    return BrokerSettings(
        node_id=config.node_id,
        run_dir=config.run_dir,
        api_token=config.api_token.reveal().decode() if config.api_token else "",
        read_token=config.read_token.reveal().decode() if config.read_token else "",
        limits=replace(DEFAULT_LIMITS, body_bytes=config.max_body_bytes),
        workers=config.broker_workers,
    )


class LoopHeartbeat:
    """Measures the delay of a serving loop: the master writes the time into a pipe, the loop reads it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._stall = mmap.mmap(-1, _TIME.size)

    @property
    def reader(self) -> int:
        return self._reader

    def send(self) -> float:
        """Sends a heartbeat. Returns the longest delay since the last call, in seconds."""
        (stall,) = _TIME.unpack(self._stall[:])
        self._stall[:] = _TIME.pack(0.0)
        # BlockingIOError: the pipe is full of unread heartbeats, and gunicorn is about to kill the process
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, _TIME.pack(time.monotonic()))
        return float(stall)

    def receive(self) -> None:
        """Reads the heartbeats that wait. The serving loop calls it when the pipe is readable."""
        try:
            data = os.read(self._reader, 64 * _TIME.size)
        except BlockingIOError:  # another process was faster
            return
        (sent_at,) = _TIME.unpack(data[: _TIME.size])
        (known,) = _TIME.unpack(self._stall[:])
        self._stall[:] = _TIME.pack(max(known, time.monotonic() - sent_at))


class _Forward(logging.Handler):
    """Forwards records of gunicorn and uvicorn to the node's log."""

    def __init__(self) -> None:
        super().__init__()
        self._quota = logs.LogQuota(logs.get_logger("http"), time.monotonic)

    def emit(self, record: logging.LogRecord) -> None:
        write = self._quota.error if record.levelno >= logging.ERROR else self._quota.warning
        about = (record.name, str(record.msg))
        write("HTTP server", about, source=record.name, text=record.getMessage())


class ServerLog(Logger):  # type: ignore[misc]
    """The logger of gunicorn, which forwards warnings and errors of all HTTP libraries."""

    def setup(self, cfg: Any) -> None:
        self.loglevel = logging.WARNING
        for name in ("gunicorn.error", "uvicorn", "falcon", "websockets"):
            found = logging.getLogger(name)
            found.handlers = [_Forward()]
            found.setLevel(logging.WARNING)
            found.propagate = False


class BrokerApplication(BaseApplication):  # type: ignore[misc]
    """The broker as an application of gunicorn; its workers find it as `self.app`."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self.settings = settings_of(context)
        self.heartbeat = LoopHeartbeat()
        self._ready_reader, self._ready_writer = os.pipe()
        super().__init__()

    def load_config(self) -> None:
        listener = self._context.listeners["http"]
        options = {
            "bind": [f"fd://{os.dup(listener.fileno())}"],  # gunicorn closes its descriptor
            "workers": self.settings.workers,
            "worker_class": BrokerWorker,
            "worker_tmp_dir": _memory_folder(self.settings.run_dir),
            "timeout": HANG_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "control_socket_disable": True,
            "logger_class": ServerLog,
            "post_fork": self._after_fork,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> object:
        return self  # each worker builds the application in its own loop

    def signal_ready(self) -> None:
        """A serving process accepts connections."""
        os.write(self._ready_writer, b"!")

    def wait_ready(self) -> None:
        """Blocks until the first serving process accepts connections."""
        os.read(self._ready_reader, 1)

    def _after_fork(self, arbiter: Arbiter, worker: BrokerWorker) -> None:
        """Runs first in a serving process."""
        die_with_parent(worker.ppid)
        self._context.control.close()


class _Master(Arbiter):  # type: ignore[misc]
    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor handles Ctrl-C


def _memory_folder(run_dir: Path) -> str:
    """A folder in memory for the files that gunicorn's workers touch."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(run_dir)  # noqa: S108


def run_master(context: WorkerContext) -> NoReturn:
    """Runs the master. Neither it nor the processes that it forks return."""
    config = context.config
    logs.configure(config.log_filter, config.log_format, context.name)
    application = BrokerApplication(context)
    link = answer_control_in_thread(
        context, lambda seconds: os.kill(os.getpid(), signal.SIGTERM), application.heartbeat.send
    )

    def announce() -> None:
        application.wait_ready()
        link.send(WorkerReady())
        host, port = context.listeners["http"].getsockname()[:2]
        logs.get_logger("broker").info("Broker listening", addr=f"{host}:{port}")

    threading.Thread(target=announce, name="ready", daemon=True).start()
    status = 1
    try:
        _Master(application).run()
    except SystemExit as ending:  # the master and the processes that it forked end here
        status = ending.code if isinstance(ending.code, int) else 0
    exit_process(status)
