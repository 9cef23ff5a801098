"""The checks of the end-to-end scripts: each fails when nothing answers, and when what it looks for is there."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait

ROOT = Path(__file__).resolve().parents[2]
E2E = ROOT / "tests" / "e2e"
SOURCES = ("chart/scripts/steps.sh", "tests/e2e/checks.sh", "tests/e2e/pods.sh")
FUNCTIONS = [
    name
    for source in SOURCES[1:]
    for name in re.findall(r"^(\w+)\(\) [{(]", (ROOT / source).read_text(), re.MULTILINE)
]
CHECKS = [
    n for n in FUNCTIONS if re.match(r"(check|is|has|lacks|sees|shows|misses|status_is)(_|$)", n)
]


def run(command: str, stand_ins: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a check with stand-ins for what reaches a node; it does not wait for a second look."""
    sources = "\n".join(f'. "$ROOT/{source}"' for source in SOURCES)
    script = f"""
        set -euo pipefail
        HERE=$ROOT/tests/e2e
        {sources}
        wait_until() {{ shift; "$@"; }}
        {stand_ins}
        {command}
    """
    return subprocess.run(
        ["bash", "-c", script],
        env={
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "ROOT": str(ROOT),
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_there_are_checks() -> None:
    assert {"check_no_errors", "check_nobody_absent", "has_all", "is_ready", "sees"} <= set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_fails_when_no_pod_can_be_reached(check: str) -> None:
    done = run(f"{check} peat-mesh-0 peat-mesh-1 one True", "in_cluster() { return 1; }")
    assert done.returncode != 0, done.stdout


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_fails_when_the_answer_is_empty(check: str) -> None:
    done = run(f"{check} peat-mesh-0 peat-mesh-1 one True", "in_cluster() { true; }")
    if check not in ("check_status", "status_is_good"):  # they go by the exit status alone
        assert done.returncode != 0, done.stdout


@dataclass
class Mesh:
    """What the API of each node answers, and what kubectl says of each pod."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    refused: int = 0
    """Writes to refuse."""
    log: str = "[info     ] Node ready"
    writer_log: str = "0\n1\n2"
    restarts: str = "0"
    pause: str = "2"
    status: str = "0"

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        stand_ins = r"""
            in_cluster() {
                case "$*" in
                    "exec -i "*" -- peatnode status") return "$STATUS" ;;
                    "exec -i "*) shift 4; "${@//http:\/\/127.0.0.1:8081/$URL}" ;;
                    "logs writer") echo "$WRITER_LOG" ;;
                    "logs "*) echo "$LOG" ;;
                    *restartCount*) printf %s "$RESTARTS" ;;
                    *terminated.message*) printf %s "$PAUSE" ;;
                    *) return 1 ;;
                esac
            }
        """
        return run(
            command, stand_ins, URL=self.url, LOG=self.log, WRITER_LOG=self.writer_log,
            RESTARTS=self.restarts, PAUSE=self.pause, STATUS=self.status,
        )  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    def __init__(self, mesh: Mesh, *arguments: Any) -> None:
        self.mesh = mesh
        super().__init__(*arguments)

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/v1/")
        answer = self.mesh.answers.get(name)
        body = json.dumps(answer).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.mesh.refused -= 1
        if self.mesh.refused < 0:
            self.mesh.taken.append(self.path.rsplit("/", 1)[1])
        self.send_response(201 if self.mesh.refused < 0 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    made = Mesh()
    made.answers = {
        "health": {"status": "healthy"},
        "ready": {"ready": True},
        "node": {"workers": [{"name": "store", "restarts": 0}]},
        "peers": {"peers": [{"id": "peat-mesh-1", "connected": True, "state": "connected"}]},
        "documents/docs/from-peat-mesh-0": {"document": {"writer": "peat-mesh-0"}},
        **{f"documents/rolling/{number}": {"document": {}} for number in range(3)},
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, made)) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


ABSENT = {"id": "peat-mesh-4", "connected": False, "state": "absent"}


@pytest.mark.parametrize(
    ("check", "name", "bad"),
    [
        ("check_health peat-mesh-0", "answers.health", {"status": "degraded"}),
        ("check_health peat-mesh-0", "answers.ready", {"ready": False}),
        ("sees peat-mesh-0 peat-mesh-1", "answers.peers", {"peers": [ABSENT]}),
        ("check_nobody_absent peat-mesh-0", "answers.peers", {"peers": [ABSENT]}),
        ("check_documents docs peat-mesh-0", "answers.documents/docs/from-peat-mesh-0", None),
        ("check_status peat-mesh-0", "status", "1"),
        ("check_no_errors peat-mesh-0", "log", "[info ] a\n[error    ] b"),
        ("check_no_errors peat-mesh-0", "log", "Traceback (most recent call last):"),
        ("check_no_restarts peat-mesh-0", "restarts", "1"),
        ("check_workers peat-mesh-0", "answers.node", {"workers": [{"name": "a", "restarts": 1}]}),
        ("has_all peat-mesh-0", "answers.documents/rolling/1", None),
        ("has_all peat-mesh-0", "writer_log", "0 1 2 3"),
        ("lacks peat-mesh-0 docs one", "answers.documents/docs/one", {"document": {}}),
        (
            "is_apart peat-mesh-0 peat-mesh-4",
            "answers.peers",
            {"peers": [{**ABSENT, "connected": True}]},
        ),
        ("check_pause 10", "pause", "11"),
    ],
)
def test_a_check_passes_and_finds_what_it_looks_for(
    mesh: Mesh, check: str, name: str, bad: Any
) -> None:
    good = mesh.run(check)
    assert good.returncode == 0, good.stdout + good.stderr
    if name.startswith("answers."):
        mesh.answers[name.removeprefix("answers.")] = bad
    else:
        setattr(mesh, name, bad)
    assert mesh.run(check).returncode != 0


def test_the_writer_says_what_was_taken_and_how_long_nothing_was(
    mesh: Mesh, tmp_path: Path
) -> None:
    stop, report = tmp_path / "stop", tmp_path / "report"
    mesh.refused = 12  # each is tried again after 0.1 s
    url = f"{mesh.url}/api/v1/documents/rolling"
    writer = subprocess.Popen(
        [sys.executable, str(E2E / "writer.py"), url, str(stop), str(report)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        wait(lambda: len(mesh.taken) >= 5, "the writer to write")
        stop.touch()
        printed, _ = writer.communicate(timeout=10)
    ids = printed.split()
    assert len(ids) >= 4
    assert set(ids) <= set(mesh.taken), "only what was acknowledged is printed"
    assert report.read_text() == "2", "1.2 s, rounded up"
