"""`peatnode mesh` with real nodes, and the commands against them: local through sockets, remote over HTTP."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from peatnode.cli.commands import run_cli
from tests.support.processes import environment, free_port, stop
from tests.support.waiting import wait

PATIENCE_SECONDS = 60.0

TOKEN = "0123456789abcdef"
COMMAND = (sys.executable, "-m", "peatnode.cli")


@contextmanager
def killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    """Kills the process, so that a read of its output ends."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@dataclass
class Mesh:
    process: subprocess.Popen[str]
    directory: Path
    api_port: int
    lines: list[str] = field(default_factory=list)

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.api_port + number}"

    def data_dir(self, number: int) -> Path:
        return self.directory / f"peat-mesh-{number}"

    def has_said(self, text: str) -> bool:
        return any(text in line for line in list(self.lines))

    def wait_said(self, text: str) -> None:
        try:
            wait(
                lambda: self.has_said(text) or self.process.poll() is not None,
                text,
                PATIENCE_SECONDS,
            )
            assert self.has_said(text)
        except AssertionError:
            print("".join(self.lines))
            raise


def start_mesh(directory: Path, count: int, *more: str) -> Mesh:
    api_port = free_port(socket.SOCK_STREAM, count)
    quic_port = free_port(socket.SOCK_DGRAM, count)
    options = [
        "--data-dir",
        str(directory),
        "--api-port",
        str(api_port),
        "--quic-port",
        str(quic_port),
    ]
    process = subprocess.Popen(
        [*COMMAND, "mesh", str(count), *options, *more],
        env=environment(PEAT_API_TOKEN=TOKEN, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    mesh = Mesh(process, directory, api_port)
    assert process.stdout is not None
    output = process.stdout
    threading.Thread(target=lambda: mesh.lines.extend(output), daemon=True).start()
    return mesh


def end_mesh(mesh: Mesh) -> None:
    stop(mesh.process, 40)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    mesh = start_mesh(tmp_path_factory.mktemp("mesh"), 2)
    try:
        mesh.wait_said("All 2 nodes are ready.")
        yield mesh
    finally:
        end_mesh(mesh)


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(*args: str, input: str = "", **env: str) -> Done:
    """A command in this process: a new one each time would take most of the time of these tests."""
    streams = [
        io.TextIOWrapper(io.BytesIO(text), encoding="utf-8") for text in (input.encode(), b"", b"")
    ]
    stdin, stdout, stderr = streams
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setattr(sys, "stdin", stdin)
        for name in [name for name in os.environ if name.startswith("PEAT_")]:
            patch.delenv(name)
        for name, value in {"PEAT_API_TOKEN": TOKEN, **env}.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            run_cli(args)
    out, err = (
        stream.buffer.getvalue().decode() for stream in (stdout, stderr) if stream.flush() is None
    )  # type: ignore[attr-defined]
    return Done(int(ended.value.code or 0), out, err)


@dataclass(frozen=True)
class Way:
    """How a command selects its node: by data directory or by URL."""

    name: str

    def run(self, mesh: Mesh, *args: str, number: int = 0, input: str = "") -> Done:
        if self.name == "local":
            return run(*args, "--data-dir", str(mesh.data_dir(number)), input=input)
        return run(*args, "--url", mesh.url(number), input=input)


LOCAL, REMOTE = Way("local"), Way("remote")


@pytest.fixture(params=[LOCAL, REMOTE], ids=["local", "remote"])
def way(request: pytest.FixtureRequest) -> Way:
    return request.param  # type: ignore[no-any-return]


def report(way: Way, mesh: Mesh, number: int = 0) -> tuple[int, dict[str, object]]:
    done = way.run(mesh, "status", "-o", "json", number=number)
    return done.returncode, json.loads(done.stdout)


def test_nodes_find_each_other_and_say_so(mesh: Mesh, way: Way) -> None:
    def is_well() -> bool:
        code, content = report(way, mesh)
        peers = content["peers"]
        assert isinstance(peers, list)
        return code == 0 and [peer["in_sync"] for peer in peers if peer["connected"]] == [True]

    wait(is_well, "the first node is healthy and in sync with the other", PATIENCE_SECONDS)
    _, content = report(way, mesh)
    assert content["node"]["node_id"] == "peat-mesh-0"  # type: ignore[index]
    assert content["peers"][0]["id"] == "peat-mesh-1"  # type: ignore[index]
    assert {worker["name"] for worker in content["workers"]} == {  # type: ignore[attr-defined]
        "store",
        "engine",
        "sync",
        "discovery",
        "broker",
    }
    text = way.run(mesh, "status")
    assert text.returncode == 0
    assert text.stdout.startswith("peat-mesh-0  healthy  up ")


def test_a_document_written_on_one_is_read_on_the_other(mesh: Mesh, way: Way) -> None:
    name = f"written-{way.name}"
    done = way.run(mesh, "doc", "put", "notes", name, '{"n": 1, "t": "ü"}', "--replicas", "1")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        rf"created notes/{name}  change \d+  etag [0-9a-f]{{32}}  on 1 of 1 peers\n", done.stdout
    )
    for other in (LOCAL, REMOTE):
        got = other.run(mesh, "doc", "get", "notes", name, number=1)
        assert (got.returncode, json.loads(got.stdout)) == (0, {"n": 1, "t": "ü"})


def test_both_ways_say_the_same(mesh: Mesh) -> None:
    LOCAL.run(mesh, "doc", "put", "same", "a", '{"x": [1, 2.5, null], "y": {"z": "ü"}}')
    LOCAL.run(mesh, "doc", "put", "same", "b", "{}")
    commands = [
        ("doc", "get", "same", "a"),
        ("doc", "get", "same", "a", "-o", "json"),
        ("doc", "list", "same"),
        ("doc", "list", "same", "-o", "json"),
        ("doc", "list", "same", "--ids", "--limit", "1"),
        ("doc", "list", "same", "--prefix", "b"),
        ("doc", "list"),
        ("doc", "list", "-o", "json"),
        ("doc", "get", "same", "missing"),
        ("doc", "delete", "same", "missing"),
        ("doc", "put", "same", "a", "{}", "--if-none-match", "*"),
        ("doc", "put", "same", "a", "{}", "--if-match", "00" * 16),
        ("doc", "put", "same", "b", "{}"),
        ("doc", "patch", "same", "a", '[{"op": "remove", "path": "/no"}]', "--json-patch"),
        ("export", "same", "-"),
    ]
    for command in commands:
        local, remote = (each.run(mesh, *command) for each in (LOCAL, REMOTE))
        assert local.returncode == remote.returncode, (command, local.stderr, remote.stderr)
        assert local.stdout == remote.stdout, command
        assert bool(local.stderr) == bool(remote.stderr), command


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("doc", "get", "notes", "missing"), 5),
        (("doc", "delete", "notes", "missing"), 5),
        (("doc", "put", "notes", "new", "{}", "--if-match", "*"), 6),
        (("doc", "put", "notes", "few", "{}", "--replicas", "9", "--timeout", "0.3"), 7),
        (("doc", "patch", "notes", "few", '[{"op": "x"}]', "--json-patch"), 1),
    ],
)
def test_exit_statuses(mesh: Mesh, way: Way, command: tuple[str, ...], code: int) -> None:
    done = way.run(mesh, *command)
    assert done.returncode == code, done.stderr
    if code != 7:
        assert done.stderr.startswith("peatnode: ")
        assert done.stdout == ""


def test_without_the_token_the_api_says_what_to_set(mesh: Mesh) -> None:
    for command in (("status",), ("doc", "list"), ("doc", "watch")):
        done = run(*command, "--url", mesh.url(0), PEAT_API_TOKEN="")
        assert done.returncode == 8, done
        assert "PEAT_API_TOKEN" in done.stderr


def test_a_body_from_standard_input_and_from_a_file(mesh: Mesh, way: Way, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text('{"from": "file"}')
    for body, input, value in (("-", '{"from": "pipe"}', "pipe"), (f"@{file}", "", "file")):
        done = way.run(mesh, "doc", "put", "notes", "body", body, input=input)
        assert done.returncode == 0, done.stderr
        assert json.loads(way.run(mesh, "doc", "get", "notes", "body").stdout) == {"from": value}


def test_patches(mesh: Mesh, way: Way) -> None:
    name = f"patched-{way.name}"
    way.run(mesh, "doc", "put", "notes", name, '{"a": 1, "b": 2}')
    way.run(mesh, "doc", "patch", "notes", name, '{"a": null, "c": 3}')
    operations = '[{"op": "replace", "path": "/c", "value": 4}]'
    done = way.run(mesh, "doc", "patch", "notes", name, operations, "--json-patch", "-o", "json")
    content = json.loads(done.stdout)
    assert (content["document"], content["created"], content["deleted"]) == (
        {"b": 2, "c": 4},
        False,
        False,
    )


def test_watching(mesh: Mesh, way: Way) -> None:
    collection = f"watched-{way.name}"
    place = ["--data-dir", str(mesh.data_dir(0))]
    if way is REMOTE:
        place = ["--url", mesh.url(0)]
    command = [*COMMAND, "doc", "watch", collection, "-o", "json", "--count", "3", "--since", "0"]
    with (
        subprocess.Popen(
            [*command, *place],
            env=environment(PEAT_API_TOKEN=TOKEN),
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        killed_after(process, 60),
    ):
        assert process.stdout is not None
        events = []
        for change in (("put", '{"n": 1}'), ("put", '{"n": 2}'), ("delete",)):
            verb, *body = change
            LOCAL.run(mesh, "doc", verb, collection, "x", *body, number=1)
            events.append(json.loads(process.stdout.readline()))
        assert process.wait(10) == 0
    assert [(event["action"], event["value"]) for event in events] == [
        ("created", {"n": 1}),
        ("updated", {"n": 2}),
        ("deleted", None),
    ]
    assert [event["sequence"] for event in events] == sorted(event["sequence"] for event in events)


def test_import_and_export(mesh: Mesh, way: Way, tmp_path: Path) -> None:
    collection = f"imported-{way.name}"
    file, again = tmp_path / "in.ndjson", tmp_path / "out.ndjson"
    documents = [{"_id": f"{number:05}", "n": number} for number in range(2500)]
    file.write_text("".join(json.dumps(one) + "\n" for one in documents))
    done = way.run(mesh, "import", collection, str(file))
    assert done.returncode == 0, done.stderr
    assert f"2,500 documents written to {collection}" in done.stderr
    exported = way.run(mesh, "export", collection, str(again))
    assert exported.returncode == 0, exported.stderr
    assert [json.loads(line) for line in again.read_text().splitlines()] == documents
    assert sorted(os.listdir(tmp_path)) == ["in.ndjson", "out.ndjson"]
    refused = way.run(mesh, "export", collection, str(again))
    assert refused.returncode == 1
    assert "exists" in refused.stderr


def test_bad_lines_are_told_and_the_others_written(mesh: Mesh, way: Way, tmp_path: Path) -> None:
    collection = f"bad-{way.name}"
    file = tmp_path / "in.ndjson"
    file.write_text('{"_id": "a"}\nnonsense\n\n[1]\n{"_id": "b"}\n{"no": "id"}\n')
    for _ in range(2):  # the second time doubles nothing
        done = way.run(mesh, "import", collection, str(file))
        assert done.returncode == 1
        assert [line.partition(":")[0] for line in done.stderr.splitlines()[:-1]] == [
            "line 2",
            "line 4",
        ]
    listed = way.run(mesh, "doc", "list", collection, "--ids").stdout.splitlines()
    assert len(listed) == 3
    assert {"a", "b"} <= set(listed)


def test_an_interrupted_import_goes_on_where_it_was(mesh: Mesh, way: Way, tmp_path: Path) -> None:
    collection = f"resumed-{way.name}"
    file = tmp_path / "in.ndjson"
    lines = [json.dumps({"_id": f"{number:05}", "n": number}) + "\n" for number in range(8000)]
    file.write_text("".join(lines))
    target = mesh.url(0) if way is REMOTE else str(mesh.data_dir(0))
    option = "--url" if way is REMOTE else "--data-dir"
    command = [*COMMAND, "import", collection, str(file), option, target]
    first = subprocess.Popen(
        command, env=environment(PEAT_API_TOKEN=TOKEN), stderr=subprocess.DEVNULL
    )
    kept = tmp_path / "in.ndjson.progress"

    def position() -> int:
        return int(json.loads(kept.read_text())["documents"]) if kept.exists() else 0

    wait(lambda: position() or first.poll() is not None, "some of it is kept", PATIENCE_SECONDS)
    first.kill()
    first.wait()
    assert kept.exists(), "it was over before it could be interrupted"
    done = way.run(mesh, "import", collection, str(file))
    assert done.returncode == 0, done.stderr
    assert re.search(r"resuming after line [\d,]+000", done.stderr)
    out = tmp_path / "out.ndjson"
    way.run(mesh, "export", collection, str(out))
    assert len(out.read_text().splitlines()) == 8000


def test_each_node_is_of_the_one_formation(mesh: Mesh) -> None:
    secret = mesh.directory / "formation-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    found = run("identity", "peat-mesh-1", "-o", "json", PEAT_FORMATION_SECRET_FILE=str(secret))
    _, content = report(LOCAL, mesh, 1)
    node = content["node"]
    assert isinstance(node, dict)
    for name, value in json.loads(found.stdout).items():
        assert node[name] == value


def test_what_it_prints(mesh: Mesh) -> None:
    assert mesh.lines[0].split() == ["NODE", "API", "QUIC", "DATA"]
    assert mesh.lines[1].split()[:2] == ["peat-mesh-0", mesh.url(0)]
    assert any(line.startswith("peat-mesh-1 | ") and "Mesh started" in line for line in mesh.lines)


def test_a_second_mesh_in_the_same_place_is_told_so_and_nobody_calls_it_ready(mesh: Mesh) -> None:
    second = start_mesh(mesh.directory, 2)
    try:
        second.wait_said("All nodes have exited.")
        assert second.process.wait(20) == 1
    finally:
        end_mesh(second)
    assert second.has_said("is in use by another node")
    assert not second.has_said("nodes are ready")


def test_one_that_dies_is_told_and_comes_back_with_its_documents(tmp_path: Path) -> None:
    mesh = start_mesh(tmp_path / "mesh", 2)
    try:
        mesh.wait_said("All 2 nodes are ready.")
        LOCAL.run(mesh, "doc", "put", "notes", "kept", '{"n": 1}', number=1)
        pid = report(LOCAL, mesh, 1)[1]["node"]["pid"]  # type: ignore[index]
        os.kill(pid, signal.SIGKILL)
        mesh.wait_said("peat-mesh-1 exited (killed by SIGKILL); the other nodes keep running.")
        (line,) = [line for line in mesh.lines if "To restart it:" in line]
        again = line.partition(" mesh ")[2].split()
        assert LOCAL.run(mesh, "doc", "list", "notes").returncode == 0
        second = subprocess.Popen(
            [*COMMAND, "mesh", *again],
            env=environment(PEAT_API_TOKEN=TOKEN),
            stdout=subprocess.DEVNULL,
        )
        try:
            wait(
                lambda: REMOTE.run(mesh, "doc", "get", "notes", "kept", number=1).returncode == 0,
                "it is back",
                PATIENCE_SECONDS,
            )
        finally:
            second.terminate()
            assert second.wait(40) == 0
    finally:
        end_mesh(mesh)
    assert mesh.process.returncode == 0


@pytest.mark.parametrize("presses", [1, 2])
def test_a_signal_stops_all_the_last_first(tmp_path: Path, presses: int) -> None:
    mesh = start_mesh(tmp_path / "mesh", 3)
    try:
        mesh.wait_said("All 3 nodes are ready.")
        started = time.monotonic()
        for _ in range(presses):
            mesh.process.send_signal(signal.SIGINT)
        assert mesh.process.wait(40) == 0
        assert time.monotonic() - started < 20
        mesh.wait_said("All nodes have stopped.")
    finally:
        end_mesh(mesh)
    stopped = [line.split()[0] for line in mesh.lines if "has stopped" in line]
    assert sorted(stopped) == ["peat-mesh-0", "peat-mesh-1", "peat-mesh-2"]
    if presses == 1:
        assert stopped == ["peat-mesh-2", "peat-mesh-1", "peat-mesh-0"]
