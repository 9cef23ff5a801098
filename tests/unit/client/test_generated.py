"""`_sync` is what `.ci/unasync.py` makes of `_async`, and the check notices where it is not."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "peatnode" / "client"


def check(client: Path) -> tuple[int, list[str]]:
    """The exit status, and the names of the modules that differ."""
    command = [sys.executable, ".ci/unasync.py", "--check", str(client)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.returncode, [Path(line.split()[0]).name for line in found.stderr.splitlines()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("_async", "_sync"):
        shutil.copytree(CLIENT / folder, tmp_path / folder)
    return tmp_path


def test_the_blocking_client_is_generated() -> None:
    assert check(CLIENT) == (0, [])


@pytest.mark.parametrize("module", sorted(path.name for path in CLIENT.glob("_async/[!_]*.py")))
def test_each_generated_module_says_so_in_its_first_line(module: str) -> None:
    first = (CLIENT / "_sync" / module).read_text().splitlines()[0]
    assert first.startswith(f"# Generated from peatnode/client/_async/{module} by .ci/unasync.py:")


def edit_source(client: Path) -> str:
    path = client / "_async" / "feed.py"
    path.write_text(path.read_text().replace("pause_after_loss", "pause_after_failure"))
    return path.name


def edit_generated(client: Path) -> str:
    path = client / "_sync" / "client.py"
    path.write_text(path.read_text().replace("    def close(", "    def shut("))
    return path.name


def add_module(client: Path) -> str:
    path = client / "_sync" / "extra.py"
    path.write_text("")
    return path.name


def remove_module(client: Path) -> str:
    path = client / "_sync" / "streams.py"
    path.unlink()
    return path.name


@pytest.mark.parametrize("change", [edit_source, edit_generated, add_module, remove_module])
def test_the_check_names_what_differs(copy: Path, change: Callable[[Path], str]) -> None:
    name = change(copy)
    assert check(copy) == (1, [name])


def test_no_word_of_asyncio_is_left() -> None:
    modules = [path.read_text().split("\n", 1)[1] for path in CLIENT.glob("_sync/[!_]*.py")]
    code = "".join(modules).replace("`AsyncClient`", "")
    assert not [word for word in ("async", "await", "Async", "__aenter__", "aread") if word in code]


def test_make_lint_runs_the_check() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    assert ".ci/unasync.py --check" in recipe
