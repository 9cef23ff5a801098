"""`peatnode import` of a file that was interrupted, and that somebody has edited meanwhile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from peatnode.cli.commands import cli
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

LINES = 8000


@dataclass(frozen=True)
class Interrupted:
    """An import that was killed in the middle of its file."""

    node: Node
    collection: str
    file: Path
    """With its progress beside it."""
    position: int
    """Lines before it are certainly written."""

    def copy(self, name: str) -> Path:
        """The file in a folder of its own, with the progress."""
        folder = self.file.parent / name
        folder.mkdir()
        for suffix in ("", ".progress"):
            shutil.copy(f"{self.file}{suffix}", folder)
        return folder / self.file.name

    def resume(self, file: Path, *options: str) -> Result:
        arguments = ["import", self.collection, str(file), *options]
        return CliRunner().invoke(
            cli, [*arguments, "--data-dir", str(self.node.directory)], standalone_mode=False
        )

    def count(self) -> int:
        total = httpx.get(self.url("?limit=1")).json()["total"]
        assert isinstance(total, int)
        return total

    def url(self, rest: str) -> str:
        return f"http://127.0.0.1:{self.node.api_port}/api/v1/documents/{self.collection}{rest}"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with nodes(1) as (one,):
        yield one


def interrupt(node: Node, collection: str, folder: Path, lines: list[str]) -> Interrupted:
    file = folder / f"{collection}.ndjson"
    file.write_text("".join(lines))
    kept = folder / f"{collection}.ndjson.progress"
    command = [sys.executable, "-m", "peatnode.cli", "import", collection, str(file)]
    command += ["--data-dir", str(node.directory)]

    def position() -> int:
        return int(json.loads(kept.read_text())["documents"]) if kept.exists() else 0

    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        wait(lambda: position() or process.poll() is not None, "some lines to be written", 30)
        process.kill()
    assert 0 < position() < len(lines), "it was over before it could be interrupted"
    return Interrupted(node, collection, file, position())


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_a_file_whose_lines_have_ids(node: Node, tmp_path: Path) -> None:
    lines = [f'{{"_id":"{number:05}","n":{number}}}\n' for number in range(LINES)]
    started = interrupt(node, "named", tmp_path, lines)

    shorter = started.copy("corrected")
    edit(shorter, '"n":3}', '"n":8}')  # of the same length, long before the position
    done = started.resume(shorter)
    assert done.return_value == 0
    found = re.match(
        rf"{re.escape(str(shorter))} has changed before line ([\d,]+): the import begins again at line 1\n",
        done.stderr,
    )
    assert found is not None
    assert int(found[1].replace(",", "")) == started.position + 1
    assert f"{LINES:,} documents written" in done.stderr
    assert started.count() == LINES
    assert httpx.get(started.url("/00003")).json()["document"] == {"n": 8}

    behind = started.copy("behind")
    edit(behind, f'"n":{LINES - 1}}}', '"n":-5}')
    done = started.resume(behind)
    assert done.stderr.startswith(f"resuming after line {started.position:,}\n")
    assert f"{LINES - started.position:,} documents written" in done.stderr
    assert httpx.get(started.url(f"/{LINES - 1:05}")).json()["document"] == {"n": -5}

    cut = started.copy("cut")
    cut.write_text("".join(lines[:10]))
    done = started.resume(cut)
    assert "has changed before line" in done.stderr
    assert "\n10 documents written" in done.stderr


def test_a_file_whose_lines_have_none(node: Node, tmp_path: Path) -> None:
    lines = [f'{{"n":{number}}}\n' for number in range(LINES)]
    started = interrupt(node, "unnamed", tmp_path, lines)

    edited = started.copy("edited")
    edit(edited, '"n":3}', '"n":8}')
    before = started.count()
    done = started.resume(edited)
    assert done.exit_code == 1
    assert f"{edited} has changed since its import was interrupted" in str(done.exception)
    assert "have no _id" in str(done.exception)
    assert started.count() == before

    grown = started.copy("grown")
    grown.write_text(grown.read_text() + '{"n":"more"}\n')
    done = started.resume(grown)
    assert done.stderr.startswith(f"resuming after line {started.position:,}\n")
    assert started.count() == LINES + 1

    done = started.resume(edited, "--restart")
    assert done.return_value == 0
    assert started.count() == LINES + 2


def test_a_folder_in_which_no_progress_can_be_saved(node: Node, tmp_path: Path) -> None:
    """Such as a ConfigMap of Kubernetes. Here a folder has the name of the progress: root can write anywhere."""
    file = tmp_path / "seed.ndjson"
    file.write_text('{"_id":"a"}\n')
    (tmp_path / "seed.ndjson.progress.new").mkdir()
    arguments = ["import", "seeded", str(file), "--data-dir", str(node.directory)]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert done.return_value == 0
    first, second = done.stderr.split("\n")[:2]
    assert first.startswith(f"the progress cannot be saved beside {file} (")
    assert second.startswith("1 document written to seeded")
