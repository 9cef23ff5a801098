"""The fence of pyproject.toml's contracts: what it says of the source, and that it refuses what it should refuse."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.source import PACKAGES, ROOT, docstring, modules

PHRASE = "No I/O."
OTHER_CLAIMS = re.compile(r"\bPure\b|without I/O|No I/O(?!\.)|free of I/O", re.IGNORECASE)

PLANTED = {
    "workers/blobs/__init__.py": "import workers.store",
    "workers/store/disk/planted.py": "import rocksdict",
    "workers/sync/quic/planted.py": "from aioquic.quic import events",
    "workers/engine/planted.py": "import y_py",
    "workers/discovery/mdns/planted.py": "import zeroconf",
    "workers/discovery/kubernetes/planted.py": "import importlib",
    "workers/store/planted.py": "from kubernetes import client",
    "workers/broker/planted.py": "import multiprocessing",
    "peatnode/protocol/planted.py": "import asyncio",
    "peatnode/documents/yjs/planted.py": "import random",
    "peatnode/supervision/policy.py": "import socket",
    "workers/discovery/kubernetes/list_watch.py": "import time",
    "peatnode/ipc/planted.py": "import peatnode.client",
    "peatnode/config/planted.py": "import peatnode.model",
    "peatnode/logs/output.py": "import workers.engine",
    "peatnode/sixth_floor.py": "import struct",
}
"""What goes wrong where; a module that exists gets one more line."""

REFUSED = [
    ("No worker imports another", r"workers\.blobs is not allowed to import workers\.store"),
    ("One importer", r"workers\.store\.disk\.planted -> rocksdict"),
    ("One importer", r"workers\.sync\.quic\.planted -> aioquic"),
    ("One importer", r"workers\.engine\.planted -> y_py"),
    ("One importer", r"workers\.discovery\.mdns\.planted -> zeroconf"),
    ("One importer", r"workers\.discovery\.kubernetes\.planted -> importlib"),
    ("One importer", r"workers\.store\.planted -> kubernetes"),
    ("One importer", r"workers\.broker\.planted -> multiprocessing"),
    ("What says No I/O", r"peatnode\.protocol\.planted -> asyncio"),
    ("What says No I/O", r"peatnode\.documents\.yjs\.planted -> random"),
    ("What says No I/O", r"peatnode\.supervision\.policy -> socket"),
    ("What says No I/O", r"workers\.discovery\.kubernetes\.list_watch -> time"),
    ("Imports point down", r"peatnode\.ipc\.planted -> peatnode\.client"),
    ("Imports point down", r"peatnode\.config\.planted -> peatnode\.model"),
    ("Imports point down", r"not listed as layers:\n\n- peatnode\.sixth_floor"),
    ("The package knows no worker", r"peatnode\.logs\.output -> workers\.engine"),
]


CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"][
    "importlinter"
]["contracts"]


def contract(name: str) -> dict[str, Any]:
    return next(one for one in CONTRACTS if one["name"].startswith(name))


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_no_list_of_a_contract_names_anything_twice(contract: dict[str, Any]) -> None:
    for key, listed in contract.items():
        if isinstance(listed, list):
            assert len(set(listed)) == len(listed), key


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_pages_give_the_layers_in_their_order(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    layers = " > ".join(contract("Imports point down")["layers"])
    assert re.findall(r"`(cli > [^`]*)`", text) == [layers]


def test_the_modules_that_say_no_io_are_those_of_the_contract() -> None:
    claiming = {name for name, path in modules().items() if PHRASE in docstring(path)}
    listed = set(contract("What says No I/O")["source_modules"])
    covered = {n for n in claiming if any(n.startswith(f"{package}.") for package in listed)}
    assert not claiming - covered - listed, (
        "in pyproject.toml, add these to `What says No I/O has none`"
    )
    assert not listed - claiming, f"say `{PHRASE}` in the docstrings of these, or take them out"


def test_the_claim_has_one_phrase() -> None:
    other = {n for n, path in modules().items() if OTHER_CLAIMS.search(docstring(path))}
    assert not other, f"a docstring that claims it says `{PHRASE}`"


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    options = {"cwd": tree, "capture_output": True, "text": True, "timeout": 60}
    return subprocess.run([program, "--no-cache"], **options)  # type: ignore[call-overload,no-any-return]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("*.pyc"))
    return copy


@pytest.fixture(scope="module")
def refusal(tree: Path) -> str:
    """What the fence says of a tree with everything planted that it should refuse."""
    clean = lint(tree)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    for name, line in PLANTED.items():
        path = tree / name
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as module:
            module.write(f"\n{line}\n")
    done = lint(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "planted"), REFUSED)
def test_what_is_planted_is_refused(refusal: str, name: str, planted: str) -> None:
    title = contract(name)["name"]
    assert re.search(f"^{re.escape(str(title))}.* BROKEN", refusal, re.MULTILINE)
    report = refusal.split(f"\n{title}\n---", 1)[1].split("\n---", 1)[0]
    assert re.search(planted, report), report
