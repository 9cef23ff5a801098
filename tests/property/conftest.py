"""Fixtures of the tests that damage stores."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.damaged_store import Place


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with TemporaryDirectory(dir="/dev/shm") as directory:
        yield Place(Path(directory))
