"""A run of the tests ends, and says which test ended its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source import ROOT

CRASH = """
import os, pytest
@pytest.mark.parametrize("number", range(6))
def test_crash(number):
    if number == 3:
        os.abort()
"""
PLAIN = """
import pytest
@pytest.mark.parametrize("number", range(6))
def test_plain(number):
    pass
"""


@pytest.mark.timeout(300)  # ten processes, on a machine that may be busy
def test_tests_that_end_their_process_fail_alone(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "z"):
        (tmp_path / f"test_{name}.py").write_text(CRASH if name in "az" else PLAIN)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-rf"]
    command += ["-p", "tests.support.scheduling", "-p", "no:schemathesis"]
    command += ["--rootdir", str(tmp_path), str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert "2 failed, 28 passed" in run.stdout, run.stdout[-2000:] + run.stderr[-2000:]
    assert "test_a.py::test_crash[3]" in run.stdout
    assert "test_z.py::test_crash[3]" in run.stdout
