"""A node under test, as its tests see it: start it, ask it, wait for something, look at what it said."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import CONTRACT, GetNode, Hello, NodeReply, WorkerState
from tests.support.waiting import wait

T = TypeVar("T")

SECRET = base64.b64encode(bytes(range(32))).decode()


class SupervisedNode:
    """One node. `behaviours` by worker's name, `limits` of the policy, everything else by variables."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self.run_dir = self.data_dir / "run"
        self.log = directory / "log"
        self.behaviours: dict[str, str] = {}
        self.limits: dict[str, Any] = {}
        self.variables = variables
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PEAT_")}
        environment = kept | {
            "HOSTNAME": "node-0",
            "PEAT_FORMATION_SECRET": SECRET,
            "PEAT_DISCOVERY": "static",
            "PEAT_DATA_DIR": str(self.data_dir),
            "PEAT_BROKER_HOST": "127.0.0.1",
            "PEAT_BROKER_PORT": "0",
            "PEAT_QUIC_HOST": "127.0.0.1",
            "PEAT_QUIC_PORT": "0",
            "BEHAVIOURS": json.dumps(self.behaviours),
            **self.variables,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.supervised_node", json.dumps(self.limits)],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(self.said())
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(12)
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        return self.log.read_text()

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait_end(self, limit: float = 20.0) -> int:
        assert self.process is not None
        return self.process.wait(limit)

    def ask(self) -> NodeReply | None:
        """None: it does not listen yet, or no more."""
        with socket.socket(socket.AF_UNIX) as sock, contextlib.suppress(OSError):
            sock.settimeout(5)
            sock.connect(str(self.run_dir / "supervisor.sock"))
            sock.sendall(encode_frame(Hello("test", os.getpid(), CONTRACT), 0))
            sock.sendall(encode_frame(GetNode(), 7))
            frames = link_buffer()
            while data := sock.recv(65536):
                for content in frames.receive_data(data):
                    cause, message = decode_content(content)
                    if cause == 7:
                        assert isinstance(message, NodeReply)
                        return message
        return None

    def worker(self, name: str) -> WorkerState | None:
        reply = self.ask()
        return next((one for one in reply.workers if one.name == name), None) if reply else None

    def wait_ready(self) -> NodeReply:
        def ready() -> NodeReply | None:
            assert self.process is not None
            assert self.process.poll() is None, self.said()
            reply = self.ask()
            is_ready = reply and all(worker.state == "ready" for worker in reply.workers)
            return reply if is_ready else None

        return wait(ready, "the node to be ready")

    def wait_restarted(self, name: str, restarts: int = 1) -> WorkerState:
        def restarted() -> WorkerState | None:
            worker = self.worker(name)
            is_back = worker and worker.state == "ready" and worker.restarts == restarts
            return worker if is_back else None

        return wait(restarted, f"{name} to be back")

    def stops(self) -> list[str]:
        """The workers, in the order in which they were told to stop."""
        path = self.data_dir / "stops"
        return path.read_text().split() if path.exists() else []


def is_running(pid: int) -> bool:
    """Not a zombie either."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
