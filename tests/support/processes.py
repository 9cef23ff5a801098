"""What every way to start a node shares: its environment, ports, log, readiness and end."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECRET = base64.b64encode(hashlib.sha256(b"a formation of the tests").digest()).decode()
FIRST_PORT, LAST_PORT = 20_000, 32_000
"""Below the ports of outgoing connections."""


def environment(**variables: str) -> dict[str, str]:
    """That of the tests, without its settings of a node, and the variables given."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("PEAT_", "KUBERNETES_"))}
    return {**kept, **variables}


def node_environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """That of a node on loopback without peers, on ports that the system chooses."""
    defaults = {
        "HOSTNAME": "node-0",
        "PEAT_FORMATION_SECRET": SECRET,
        "PEAT_DISCOVERY": "static",
        "PEAT_DATA_DIR": str(data_dir),
        "PEAT_BROKER_HOST": "127.0.0.1",
        "PEAT_BROKER_PORT": "0",
        "PEAT_QUIC_HOST": "127.0.0.1",
        "PEAT_QUIC_PORT": "0",
    }
    return environment(**defaults | variables)


def peatnode(
    *arguments: str, limit: float = 120.0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A command of `peatnode`, to its end, in an environment with these variables of it."""
    return subprocess.run(
        [sys.executable, "-m", "peatnode.cli", *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


def free_port(kind: int, count: int = 1) -> int:
    """The first of `count` free ports in a row. This process gives each port out once."""
    for first in range(FIRST_PORT + os.getpid() % 9000, LAST_PORT, count):
        ports = range(first, first + count)
        if not _given.intersection(ports) and all(_is_free(kind, port) for port in ports):
            _given.update(ports)
            return first
    raise AssertionError("no free port")


_given: set[int] = set()


def _is_free(kind: int, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str], limit: float = 15.0) -> None:
    """SIGTERM, and SIGKILL after `limit` seconds."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit)
        process.kill()
    process.wait()


class LoggedProcess:
    """A process in a session of its own that writes to a log file. It can be launched again after its end."""

    def __init__(self, log_path: Path) -> None:
        self.log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path | None = None
    ) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=environment,
                cwd=directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def check_running(self) -> None:
        """Fails with the end of the log if the process has ended."""
        assert self.process is not None
        status = self.process.poll()
        assert status is None, f"{self.log_path} ended with {status}:\n{self.log()[-3000:]}"

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait_exit(self, limit: float = 20.0) -> int:
        """Its exit status."""
        assert self.process is not None
        return self.process.wait(limit)

    def kill(self) -> None:
        """Like a power cut: the workers of a supervisor that is killed end at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)


def start_worker(
    name: str,
    instance: str,
    control: socket.socket,
    listeners: Mapping[str, socket.socket],
    environment: Mapping[str, str],
    *,
    prefix: Sequence[str] = (),
    log_path: Path | None = None,
    instance_seed: bytes = bytes(32),
) -> subprocess.Popen[bytes]:
    """One worker without a supervisor: `control` and `listeners` are inherited as the supervisor's would be."""
    fds = [control.fileno(), *(listener.fileno() for listener in listeners.values())]
    named = [f"{key}={listener.fileno()}" for key, listener in listeners.items()]
    module = [sys.executable, "-m", "tests.support.one_worker"]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(log_path.open("ab")) if log_path else None
        return subprocess.Popen(
            [*prefix, *module, name, instance, instance_seed.hex(), str(fds[0]), *named],
            pass_fds=fds,
            stdout=log,
            stderr=log,
            env={**environment, "PYTHONPATH": str(ROOT)},
        )
