"""`peatnode dev` as a newcomer starts it, and the examples of docs/client.md against it."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import LoggedProcess, environment, free_port
from tests.support.waiting import wait

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "peatnode.cli")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """URL and working directory of a node that is ready."""
    directory = tmp_path_factory.mktemp("dev")
    port = free_port(socket.SOCK_STREAM)
    env = environment(PEAT_BROKER_PORT=str(port), PEAT_QUIC_PORT=str(free_port(socket.SOCK_DGRAM)))
    dev = LoggedProcess(directory / "output")
    dev.spawn([*COMMAND, "dev"], env, directory)

    def is_healthy() -> bool:
        dev.check_running()
        done = subprocess.run(
            [*COMMAND, "status"], cwd=directory, env=environment(), check=False, capture_output=True
        )
        return done.returncode == 0

    try:
        wait(is_healthy, "the node to be healthy", pause=0.1)
        yield f"http://127.0.0.1:{port}", directory
        dev.signal(signal.SIGINT)
        assert dev.wait_exit(30) == 0, dev.log()
    finally:
        dev.stop()


def test_it_says_where_it_is_and_how_to_go_on(node: tuple[str, Path]) -> None:
    url, directory = node
    output = (directory / "output").read_text()
    assert f"API at {url}" in output
    assert " dev 1" in output.partition("another node:")[2]


def test_its_secret_is_kept_readable_by_its_owner_alone(node: tuple[str, Path]) -> None:
    _, directory = node
    assert (directory / ".data" / "formation-secret").stat().st_mode & 0o777 == 0o600


def test_the_commands_find_it(node: tuple[str, Path]) -> None:
    _, directory = node
    done = subprocess.run(
        [*COMMAND, "doc", "put", "notes", "a", "{}"],
        cwd=directory,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_examples_of_the_client_run(node: tuple[str, Path]) -> None:
    url, _ = node
    text = (ROOT / "docs" / "client.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    code = code.replace("http://127.0.0.1:8081", url)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_second_one_on_the_same_directory_is_refused(node: tuple[str, Path]) -> None:
    _, directory = node
    env = environment(
        PEAT_BROKER_PORT=str(free_port(socket.SOCK_STREAM)),
        PEAT_QUIC_PORT=str(free_port(socket.SOCK_DGRAM)),
    )
    done = subprocess.run(
        [*COMMAND, "dev"],
        env=env,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78, done.stderr
    assert "Traceback" not in done.stderr
