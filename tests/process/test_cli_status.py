"""`peatnode status` of local nodes that are not healthy: each part of a node is a small server of the test."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from peatnode.ipc.link import Connection, LinkServer, serve
from peatnode.ipc.messages import (
    Failure,
    GetDiscovery,
    GetNode,
    GetPeers,
    GetStore,
    Message,
    PeersReply,
    WorkerProblem,
)
from tests.support.processes import peatnode
from tests.support.replies import DISCOVERY, NODE, NOW, PEER, PEERS, STORE, WORKERS

SILENCE = object()
"""Accepts, and never answers."""

Answers = Mapping[str, object]
HEALTHY: Answers = {
    "supervisor": NODE,
    "store": STORE,
    "sync": PEERS,
    "discovery": DISCOVERY,
}
QUESTIONS = (GetNode, GetStore, GetPeers, GetDiscovery)

StartNode = Callable[[Answers], Path]


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    sock.setblocking(False)
    return sock


async def _serve(sock: socket.socket, worker: str, answer: object) -> LinkServer:
    def on_message(connection: Connection, cause: int, message: Message) -> None:
        if not isinstance(message, QUESTIONS):
            connection.fail(cause, Failure.INVALID, "Not a question of these tests.")
        elif isinstance(answer, Message):
            connection.reply(cause, answer)

    return await serve(sock, worker, on_message)


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[StartNode]:
    """Gives a data directory in whose run directory these answers are given, in a thread of their own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sockets: list[socket.socket] = []
    servers: list[LinkServer] = []

    def start(answers: Answers) -> Path:
        run_dir = tmp_path / "run"
        run_dir.mkdir()
        for worker, answer in answers.items():
            sock = _listen(run_dir / f"{worker}.sock")
            sockets.append(sock)
            if answer is not SILENCE:
                starting = asyncio.run_coroutine_threadsafe(_serve(sock, worker, answer), loop)
                servers.append(starting.result(10))
        return tmp_path

    async def close() -> None:
        for server in servers:
            await server.close()

    yield start
    asyncio.run_coroutine_threadsafe(close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
    for sock in sockets:
        sock.close()


def status(data_dir: Path) -> tuple[int, dict[str, object]]:
    done = peatnode("status", "--data-dir", str(data_dir), "-o", "json")
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_a_node_that_is_well(start_node: StartNode) -> None:
    data_dir = start_node(HEALTHY)
    code, content = status(data_dir)
    assert (code, content["status"], content["findings"]) == (0, "healthy", [])
    assert content["documents"]["root"] == bytes(range(16)).hex()  # type: ignore[index]
    text = peatnode("status", PEAT_DATA_DIR=str(data_dir))
    assert text.returncode == 0
    assert text.stdout.startswith("peat-mesh-0  healthy  up 1 min")
    assert "\x1b" not in text.stdout


def test_its_peers(start_node: StartNode) -> None:
    data_dir = start_node(HEALTHY)
    done = peatnode("peers", "--data-dir", str(data_dir))
    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[:2] == ["peat-mesh-1", "connected"]
    content = json.loads(peatnode("peers", "-o", "json", PEAT_DATA_DIR=str(data_dir)).stdout)
    assert [peer["id"] for peer in content] == ["peat-mesh-1"]


@pytest.mark.parametrize("down", ["supervisor", "store", "sync", "discovery"])
def test_a_part_that_is_gone_is_shown_and_the_rest_too(start_node: StartNode, down: str) -> None:
    # A supervisor that was killed is still reported: its socket exists and refuses connections.
    answers = {**HEALTHY, down: SILENCE} if down == "supervisor" else dict(HEALTHY)
    if down != "supervisor":
        del answers[down]
    code, content = status(start_node(answers))
    assert (code, content["status"]) == (3, "degraded")
    assert [finding["where"] for finding in content["findings"]] == [down]  # type: ignore[attr-defined]
    parts = {"supervisor": "node", "store": "documents", "sync": "peers", "discovery": "discovery"}
    for worker, part in parts.items():
        assert (content[part] is None) == (worker == down)


def test_a_part_that_hangs_holds_up_nobody(start_node: StartNode) -> None:
    data_dir = start_node({**HEALTHY, "sync": SILENCE})
    started = time.monotonic()
    code, content = status(data_dir)
    assert time.monotonic() - started < 10
    assert (code, content["peers"]) == (3, None)
    assert peatnode("peers", "--data-dir", str(data_dir)).returncode == 4


def test_nobody_answers(start_node: StartNode) -> None:
    code, content = status(start_node(dict.fromkeys(HEALTHY, SILENCE)))
    assert (code, content["status"]) == (4, "unreachable")


def test_what_the_workers_say_is_wrong_is_shown_with_advice(start_node: StartNode) -> None:
    problem = WorkerProblem(
        "sync", "twin", "peat-mesh-0 is used twice.", "Set PEAT_CLUSTER.", True, NOW
    )
    waiting = replace(WORKERS[1], state="waiting", pid=0, restarts=3, last_exit="killed by SIGKILL")
    node = replace(NODE, problems=(problem,), workers=(WORKERS[0], waiting, *WORKERS[2:]))
    full = replace(STORE, is_writable=False, problem="The disk is full.")
    late = replace(
        PEER,
        is_in_sync=False,
        behind_documents=12,
        out_of_sync_since=time.time() - 500,
        reason="It refuses document c/i.",
    )
    data_dir = start_node(
        {
            "supervisor": node,
            "store": full,
            "sync": PeersReply((late,), b"\0" * 16, ("c/i",)),
            "discovery": DISCOVERY,
        }
    )
    done = peatnode("status", "--data-dir", str(data_dir))
    assert done.returncode == 3
    said = " ".join(done.stdout.split())  # where lines break depends on how long things last
    for text in (
        "peat-mesh-0 is used twice.",
        "Set PEAT_CLUSTER.",
        "engine is waiting (previous exit: killed by SIGKILL).",
        "The disk is full.",
        "12 documents differ, since",
        "(8 min",
        "It refuses document c/i.",
    ):
        assert text in said


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_it_fits_the_columns_it_is_told(start_node: StartNode, columns: str) -> None:
    data_dir = start_node(HEALTHY)
    done = peatnode("status", "--data-dir", str(data_dir), COLUMNS=columns)
    assert max(map(len, done.stdout.splitlines())) <= int(columns)


def test_watch_on_a_pipe_is_one_look_after_the_other(start_node: StartNode) -> None:
    data_dir = start_node(HEALTHY)
    command = [sys.executable, "-m", "peatnode.cli", "status", "--watch", "--interval", "0.2"]
    command += ["-o", "json", "--data-dir", str(data_dir)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        # A shell ignores SIGINT in background jobs, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        looks = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(2)
        assert process.wait(10) == 0
    assert [look["status"] for look in looks] == ["healthy"] * 3


def test_a_reader_who_has_enough_is_no_error(start_node: StartNode) -> None:
    data_dir = start_node(HEALTHY)
    command = f"{sys.executable} -m peatnode.cli status --data-dir {data_dir} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("peat-mesh-0")
