"""The supervisor with real processes, real signals and real sockets."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from peatnode.config import default_run_dir
from peatnode.ipc.frames import encode_frame
from peatnode.ipc.messages import CONTRACT, GetNode, Hello, StopWorker
from peatnode.supervision.workers import WORKERS
from tests.support.supervised import SupervisedNode, is_running
from tests.support.waiting import wait

NAMES = tuple([spec.name for spec in WORKERS])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SupervisedNode]:
    with SupervisedNode(tmp_path) as node:
        yield node


def test_a_node_starts_says_so_and_stops_in_order(node: SupervisedNode) -> None:
    reply = node.start().wait_ready()
    assert reply.node_id == "node-0"
    assert {worker.name for worker in reply.workers} == set(NAMES)
    assert reply.broker_address.startswith("127.0.0.1:")
    assert reply.quic_port > 0
    assert len(reply.instance) == 32
    assert reply.problems == ()
    assert f"Mesh started node_id=node-0 device_id={reply.device_id}" in node.log()
    node.signal(signal.SIGTERM)
    assert node.wait_exit() == 0
    stops = node.stops()
    assert stops[:2] == ["broker", "sync"]
    assert set(stops[2:4]) == {"discovery", "store"}, "they stop together"
    assert stops[4:] == ["engine"]
    assert not list(node.run_dir.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_worker_is_back_within_two_seconds(node: SupervisedNode, name: str) -> None:
    before = {worker.name: worker.pid for worker in node.start().wait_ready().workers}
    started = time.monotonic()
    os.kill(before[name], signal.SIGKILL)
    worker = node.wait_restarted(name)
    assert time.monotonic() - started < 2.0
    assert worker.pid != before[name]
    assert worker.last_exit == "killed by SIGKILL"
    reply = node.ask()
    assert reply is not None
    assert {one.name: one.pid for one in reply.workers if one.name != name} == {
        other: pid for other, pid in before.items() if other != name
    }


def test_who_calls_a_worker_that_is_away_waits_and_is_answered_by_the_next(
    node: SupervisedNode,
) -> None:
    reply = node.start().wait_ready()
    pid = next(worker.pid for worker in reply.workers if worker.name == "store")
    os.kill(pid, signal.SIGSTOP)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(node.run_dir / "store.sock"))
        os.kill(pid, signal.SIGKILL)
        answer = sock.recv(100)
    assert int(answer) == node.wait_restarted("store").pid != pid


def test_a_worker_that_does_not_answer_is_killed_and_comes_back(node: SupervisedNode) -> None:
    node.limits = {"ping_every": 0.2, "pong_within": 1.0}
    reply = node.start().wait_ready()
    pid = next(worker.pid for worker in reply.workers if worker.name == "sync")
    os.kill(pid, signal.SIGSTOP)
    assert node.wait_restarted("sync").pid != pid
    assert not is_running(pid)


def test_a_worker_whose_loop_does_not_turn_is_killed(node: SupervisedNode) -> None:
    node.behaviours = {"engine": "blocks"}
    node.limits = {"ping_every": 0.2, "pong_within": 1.0, "turn_within": 1.0}
    node.start()
    wait(lambda: (w := node.worker("engine")) and w.restarts, "the engine to be killed")
    assert "its event loop did not turn" in node.log()


def test_a_worker_that_works_for_longer_than_an_answer_may_take_is_alive(
    node: SupervisedNode,
) -> None:
    """The time is spent in one piece of work, as long reads and large groups once were."""
    node.behaviours = {"store": "works for long"}
    node.limits = {"ping_every": 0.1, "pong_within": 0.5}
    node.start()
    wait(lambda: (node.data_dir / "worked").exists(), "the work to be done")
    node.wait_ready()
    worker = node.worker("store")
    assert worker is not None
    assert worker.restarts == 0
    wait(lambda: (w := node.worker("store")) and w.stall_seconds > 1.0, "the delay to be told")


def test_a_worker_that_answers_from_its_loop_is_killed_when_it_blocks(node: SupervisedNode) -> None:
    node.behaviours = {"engine": "blocks without a thread"}
    node.limits = {"ping_every": 0.2, "pong_within": 1.0}
    node.start()
    wait(lambda: (w := node.worker("engine")) and w.restarts, "the engine to be killed")
    assert "no answer" in node.log()


@pytest.mark.parametrize("behaviour", ["fails", "killed at start", "speaks nonsense"])
def test_a_worker_that_dies_again_and_again_ends_the_node(
    node: SupervisedNode, behaviour: str
) -> None:
    node.behaviours = {"engine": behaviour}
    node.limits = {"first_delay": 0.02}
    assert node.start().wait_exit() == 1
    assert "peatnode: the worker engine exited 6 times within 60 s" in node.log()
    assert sorted(node.stops()) == sorted(set(NAMES) - {"engine"})


def test_an_error_that_nobody_awaits_is_a_death(node: SupervisedNode) -> None:
    node.behaviours = {"sync": "fails in the background"}
    node.start()
    worker = wait(lambda: (w := node.worker("sync")) and w.restarts and w, "sync to die")
    assert worker.last_exit == "exited with status 1"


def test_what_the_network_does_to_a_transport_is_no_death(node: SupervisedNode) -> None:
    node.behaviours = {"sync": "is cut off"}
    node.start()
    wait(lambda: (reply := node.ask()) and reply.problems, "what comes after")
    worker = node.worker("sync")
    assert worker is not None
    assert worker.restarts == 0
    assert "No route to host" in node.log()


def test_a_configuration_that_a_worker_refuses_ends_the_node_with_its_sentence(
    node: SupervisedNode,
) -> None:
    node.behaviours = {"store": "refuses"}
    assert node.start().wait_exit() == 78
    lines = [line for line in node.log().splitlines() if line.startswith("peatnode:")]
    assert lines == ["peatnode: PEAT_DATA_DIR is of a newer version: run that version."]
    assert "Traceback" not in node.log()


def test_being_replaced_is_no_death(node: SupervisedNode) -> None:
    node.behaviours = {"engine": "wants to be replaced"}
    node.start()
    worker = wait(
        lambda: (w := node.worker("engine")) and w.recycles and w.state == "ready" and w,
        "the engine to be replaced",
    )
    assert (worker.restarts, worker.recycles, worker.last_exit) == (0, 1, "exited with status 0")


def test_problems_are_told_and_end_with_their_worker(node: SupervisedNode) -> None:
    node.behaviours = {"store": "has a problem"}
    (problem,) = node.start().wait_ready().problems
    assert (problem.worker, problem.name, problem.message, problem.advice) == (
        "store",
        "disk",
        "The disk is full.",
        "Free some space.",
    )
    assert problem.blocks_readiness


def test_an_api_that_is_open_to_the_network_is_a_problem(tmp_path: Path) -> None:
    with SupervisedNode(tmp_path, PEAT_BROKER_HOST="0.0.0.0") as node:
        (problem,) = node.start().wait_ready().problems
        assert problem.name == "open_api"
        assert not problem.blocks_readiness


def test_relays_are_said_to_be_unused(tmp_path: Path) -> None:
    with SupervisedNode(tmp_path, PEAT_RELAY_URLS="https://relay.example") as node:
        node.start().wait_ready()
        assert "relay.example" in node.log()


def test_the_heartbeat_of_a_process_whose_main_thread_is_not_ours(node: SupervisedNode) -> None:
    node.behaviours = {"broker": "threaded"}
    node.limits = {"ping_every": 0.1}
    node.start().wait_ready()
    wait(lambda: (w := node.worker("broker")) and w.memory_bytes, "the broker's answer")
    node.signal(signal.SIGINT)
    assert node.wait_exit() == 0


def test_a_worker_that_does_not_stop_holds_up_nobody_for_long(node: SupervisedNode) -> None:
    node.behaviours = {"sync": "does not stop"}
    node.limits = {"stop": 2.0, "stop_reserve": 0.5}
    node.start().wait_ready()
    started = time.monotonic()
    node.signal(signal.SIGTERM)
    assert node.wait_exit() == 0
    assert time.monotonic() - started < 4.0
    assert set(node.stops()[-3:-1]) == {"discovery", "store"}
    assert node.stops()[-1] == "engine"


def test_a_second_signal_hurries(node: SupervisedNode) -> None:
    node.behaviours = {"broker": "does not stop", "store": "does not stop"}
    node.start().wait_ready()
    started = time.monotonic()
    node.signal(signal.SIGTERM)
    wait(lambda: node.stops() == ["broker"], "the broker to be told")
    node.signal(signal.SIGTERM)
    assert node.wait_exit() == 0
    assert time.monotonic() - started < 4.0


def test_a_death_during_the_stop_is_part_of_it(node: SupervisedNode) -> None:
    node.behaviours = {"broker": "does not stop"}
    node.start().wait_ready()
    store = node.worker("store")
    assert store is not None
    node.signal(signal.SIGTERM)
    wait(lambda: node.stops() == ["broker"], "the broker to be told")
    os.kill(store.pid, signal.SIGKILL)
    node.signal(signal.SIGTERM)
    assert node.wait_exit() == 0
    assert "store" not in node.stops()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_at_once(node: SupervisedNode, number: int) -> None:
    """Ctrl-C in a terminal, or an init system that ends a whole group."""
    node.start().wait_ready()
    assert node.process is not None
    os.killpg(node.process.pid, number)
    assert node.wait_exit() == 0
    assert sorted(node.stops()) == sorted(NAMES)
    assert "Traceback" not in node.log()


def test_no_orphans_when_the_supervisor_is_killed(node: SupervisedNode) -> None:
    node.behaviours = {"broker": "threaded", "engine": "blocks"}
    pids = [worker.pid for worker in node.start().wait_ready().workers]
    node.signal(signal.SIGKILL)
    node.wait_exit()
    wait(lambda: not any(map(is_running, pids)), "the workers to be gone", 5)


def test_a_node_starts_again_after_it_was_killed(node: SupervisedNode) -> None:
    first = node.start().wait_ready()
    node.signal(signal.SIGKILL)
    node.wait_exit()
    assert (node.run_dir / "store.sock").exists()
    second = node.start().wait_ready()
    assert second.device_id == first.device_id
    assert second.instance != first.instance


def test_two_nodes_on_one_data_directory(node: SupervisedNode, tmp_path: Path) -> None:
    pid = node.start().wait_ready().pid
    (tmp_path / "second").mkdir()
    with SupervisedNode(tmp_path / "second", PEAT_DATA_DIR=str(node.data_dir)) as second:
        assert second.start().wait_exit() == 78
        assert f"in use by another node (process {pid})" in second.log()
    assert node.ask() is not None, "the first was not disturbed"


@pytest.mark.parametrize(
    ("kind", "variable"),
    [(socket.SOCK_STREAM, "PEAT_BROKER_PORT"), (socket.SOCK_DGRAM, "PEAT_QUIC_PORT")],
)
def test_a_port_in_use(tmp_path: Path, kind: int, variable: str) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with SupervisedNode(tmp_path, **{variable: str(port)}) as node:
            assert node.start().wait_exit() == 78
            (line,) = node.log().splitlines()
            assert line.startswith(f"peatnode: {variable}={port} is in use")


def test_a_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with SupervisedNode(tmp_path, PEAT_DATA_DIR=str(tmp_path / "file" / "data")) as node:
        assert node.start().wait_exit() == 78
        assert "PEAT_DATA_DIR" in node.log()


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    with SupervisedNode(tmp_path, PEAT_BROKER_HOST="192.0.2.1") as node:
        assert node.start().wait_exit() == 78
        assert node.log().startswith("peatnode: PEAT_BROKER_HOST='192.0.2.1': cannot listen there")
        assert not list(node.run_dir.glob("*.sock")), "nothing is left behind"


def test_ipv6(tmp_path: Path) -> None:
    with SupervisedNode(tmp_path, PEAT_BROKER_HOST="::1", PEAT_QUIC_HOST="::") as node:
        assert node.start().wait_ready().broker_address.startswith("[::1]:")


def test_a_run_directory_that_could_be_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with SupervisedNode(tmp_path, PEAT_RUN_DIR=str(tmp_path / "link")) as node:
        assert node.start().wait_exit() == 78
        assert "symbolic link" in node.log()


def test_a_run_directory_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    with SupervisedNode(tmp_path, PEAT_RUN_DIR=str(tmp_path / ("x" * 120))) as node:
        assert node.start().wait_exit() == 78
        assert "PEAT_RUN_DIR" in node.log()
        assert "short path" in node.log()


def test_a_failure_is_one_object_where_the_log_is_json(tmp_path: Path) -> None:
    with SupervisedNode(tmp_path, PEAT_BROKER_HOST="192.0.2.1", PEAT_LOG_FORMAT="json") as node:
        assert node.start().wait_exit() == 78
        (line,) = node.log().splitlines()
        found = json.loads(line)
        assert (found["level"], found["status"]) == ("error", 78)
        assert "PEAT_BROKER_HOST" in found["reason"]


def test_a_long_path_still_has_sockets(tmp_path: Path) -> None:
    directory = tmp_path / ("long-" * 30)
    directory.mkdir()
    with SupervisedNode(directory) as node:
        node.run_dir = default_run_dir(node.data_dir)
        assert node.run_dir != node.data_dir / "run"
        node.start().wait_ready()
        assert node.run_dir.stat().st_mode & 0o777 == 0o700
        node.signal(signal.SIGTERM)
        assert node.wait_exit() == 0
    node.run_dir.rmdir()


def call(node: SupervisedNode) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(str(node.run_dir / "supervisor.sock"))
    return sock


def hear(sock: socket.socket) -> bytes:
    """Everything up to the end of the connection."""
    heard = b""
    try:
        while data := sock.recv(65536):
            heard += data
    except ConnectionError:
        pass
    return heard


HELLO = encode_frame(Hello("x", 1, CONTRACT), 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",
        b"\x03\xff\xff\xff" + bytes(8192),
        encode_frame(Hello("x", 1, 999), 0) * 3,
        encode_frame(GetNode(), 1),
        HELLO + b"\x00\x00\x00\x01\xc1",
        HELLO + encode_frame(GetNode(), 1) * 100 + b"\x00\x01\x00\x00" + bytes(6000),
    ],
    ids=["too long", "large", "other contract", "no hello", "no message", "large later"],
)
def test_a_bad_client_is_closed_and_disturbs_nobody(node: SupervisedNode, sent: bytes) -> None:
    node.start().wait_ready()
    with call(node) as good, call(node) as bad:
        bad.sendall(sent)
        hear(bad)  # to the end
        good.sendall(HELLO + encode_frame(StopWorker(1.0), 7) + encode_frame(GetNode(), 8))
        heard = b""
        while b"node_reply" not in heard:
            heard += good.recv(65536)
        assert b"does not answer stop_worker" in heard
    with call(node) as gone:
        gone.sendall(sent)
    assert node.ask() is not None


def test_a_client_that_never_reads_is_closed(node: SupervisedNode) -> None:
    node.start().wait_ready()
    with call(node) as sock:
        sock.sendall(HELLO)
        with pytest.raises(ConnectionError):
            sock.sendall(encode_frame(GetNode(), 1) * 100_000)
    assert node.ask() is not None


def test_hundreds_of_clients_at_once(node: SupervisedNode) -> None:
    node.start().wait_ready()
    socks = [call(node) for _ in range(300)]
    assert hear(socks[-1]) == b"", "closed without a word"
    for sock in socks:
        sock.close()
    wait(node.ask, "the node to answer again")


def test_a_quiet_supervisor_sleeps(node: SupervisedNode) -> None:
    """Not a benchmark: processor time of the supervisor alone, over two heartbeats of all workers."""
    node.limits = {"ping_every": 0.5}
    pid = node.start().wait_ready().pid

    def ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before, until = ticks(), time.monotonic() + 2.0
    wait(lambda: time.monotonic() >= until, "two seconds to go by")
    assert ticks() - before < 20  # hundredths of a second
