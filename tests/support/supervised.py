"""A node with the real supervisor and workers that do as their test says: `supervised_worker`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from peatnode.ipc.frames import decode_content, encode_frame, link_buffer
from peatnode.ipc.messages import CONTRACT, GetNode, Hello, NodeReply, WorkerState
from tests.support.processes import LoggedProcess, node_environment
from tests.support.waiting import wait


class SupervisedNode(LoggedProcess):
    """One node. `behaviours` by worker's name, `limits` of the policy, everything else by variables."""

    def __init__(self, directory: Path, **variables: str) -> None:
        super().__init__(directory / "log")
        self.data_dir = directory / "data"
        self.run_dir = self.data_dir / "run"
        self.behaviours: dict[str, str] = {}
        self.limits: dict[str, Any] = {}
        self.variables = variables

    def start(self) -> Self:
        command = [sys.executable, "-m", "tests.support.supervised_node", json.dumps(self.limits)]
        variables = {"BEHAVIOURS": json.dumps(self.behaviours), **self.variables}
        self.spawn(command, node_environment(self.data_dir, **variables))
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
            print(self.log())
        self.stop()

    def ask(self) -> NodeReply | None:
        """None while it does not listen."""
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
            self.check_running()
            reply = self.ask()
            is_ready = reply and all(worker.state == "ready" for worker in reply.workers)
            return reply if is_ready else None

        return wait(ready, "the node to be ready")

    def wait_restarted(self, name: str, restarts: int = 1) -> WorkerState:
        def restarted() -> WorkerState | None:
            worker = self.worker(name)
            is_back = worker and worker.state == "ready" and worker.restarts == restarts
            return worker if is_back else None

        return wait(restarted, f"{name} to be restarted")

    def stops(self) -> list[str]:
        """The workers, in the order in which they were ordered to stop."""
        path = self.data_dir / "stops"
        return path.read_text().split() if path.exists() else []


def is_running(pid: int) -> bool:
    """Not a zombie either."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
