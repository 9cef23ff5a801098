"""Small C libraries that are loaded before the C library, so that a test sees or changes the calls of a process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def compiled(source: str, directory: Path, name: str) -> Path:
    """The library of a source, for LD_PRELOAD. Skips the test where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    file, library = directory / f"{name}.c", directory / f"{name}.so"
    file.write_text(source)
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(file), "-ldl"]
    subprocess.run([*command, "-lpthread"], check=True)
    return library
