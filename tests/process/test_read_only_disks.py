"""A node whose disk is read-only when it starts: it answers reads, says what is wrong, and resumes by itself.

The directory is really read-only: a bind mount in a mount namespace of the node, which its end removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peatnode.cli.exits import Exit
from peatnode.config import run_dir_choices
from peatnode.errors import EXIT_CONFIGURATION
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

pytestmark = pytest.mark.timeout(90)

PEATNODE = str(Path(sys.executable).with_name("peatnode"))
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


def need_namespaces() -> None:
    if os.geteuid():
        pytest.skip("mounting needs root")
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"]).returncode:
        pytest.skip("mount namespaces are not available")


def launch_read_only(node: Node) -> None:
    command = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(node.directory), PEATNODE, "run"]
    node.spawn(command, node.environment())


def make_writable(node: Node) -> None:
    mount = ["mount", "-o", "remount,bind,rw", str(node.directory)]
    subprocess.run(["nsenter", "-t", str(node.pid), "-m", *mount], check=True)


def request(node: Node, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(node.url + path, data, method=method)
    asked.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def document(node: Node, doc_id: str) -> Any:
    status, content = request(node, f"/documents/notes/{doc_id}")
    assert status == 200, content
    return content["document"]


def answers(node: Node) -> bool:
    node.check_running()
    with contextlib.suppress(OSError):
        return request(node, "/documents/notes/one")[0] == 200
    return False


def accepts(node: Node) -> bool:
    return request(node, "/documents/notes/after", "PUT", {"a": 1})[0] in (200, 201)


def cli(node: Node, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [PEATNODE, *arguments, "--data-dir", str(node.directory)]
    return subprocess.run(command, capture_output=True, text=True, env=node.environment())


@pytest.fixture
def filled() -> Iterator[Node]:
    """A node that was killed: its last changes are only in the log."""
    need_namespaces()
    with nodes(1) as (node,):
        request(node, "/documents/notes/one", "PUT", {"l": [1, 2]})
        request(node, "/documents/notes/two", "PUT", {"a": 1})
        node.kill()
        yield node
        for run_dir in run_dir_choices(node.directory)[1:]:
            shutil.rmtree(run_dir, ignore_errors=True)


def test_reads_are_answered_and_writes_resume_when_the_disk_is_writable(filled: Node) -> None:
    node = filled
    launch_read_only(node)
    wait(lambda: answers(node), "reads to be answered")

    # reads
    assert document(node, "one") == {"l": [1, 2]}
    assert [d["_id"] for d in request(node, "/documents/notes")[1]["documents"]] == ["one", "two"]
    found = cli(node, "doc", "get", "notes", "two")
    assert (found.returncode, json.loads(found.stdout)["a"]) == (0, 1), found.stderr

    # writes
    for method, body in (("PUT", {"a": 2}), ("DELETE", None)):
        status, problem = request(node, "/documents/notes/two", method, body)
        assert (status, problem["type"]) == (507, "urn:peatnode:problem:storage")
    assert document(node, "two") == {"a": 1}

    # what is wrong, and what to do
    status, ready = request(node, "/ready")
    assert status == 503
    said = json.dumps(ready)
    assert "read-only" in said
    assert "mount it writable" in said
    report = cli(node, "status")
    assert report.returncode == Exit.DEGRADED
    assert "mount it writable" in " ".join(report.stdout.split())

    # another node cannot share the directory
    other = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(node.directory), PEATNODE, "run"]
    refused = subprocess.run(other, env=node.environment(), capture_output=True, text=True)
    assert refused.returncode == EXIT_CONFIGURATION
    assert "is in use by another node" in refused.stderr

    make_writable(node)
    wait(lambda: accepts(node), "writes to be accepted")
    wait(node.is_ready, "the node to be ready")
    assert document(node, "one") == {"l": [1, 2]}
    assert cli(node, "status").returncode == 0


def test_a_directory_that_never_held_a_store_is_a_wrong_setting(tmp_path: Path) -> None:
    need_namespaces()
    with nodes(1, start=False) as (node,):
        launch_read_only(node)
        assert node.wait_exit() == EXIT_CONFIGURATION
        assert "cannot be written: Read-only file system. Set a directory" in node.log()
