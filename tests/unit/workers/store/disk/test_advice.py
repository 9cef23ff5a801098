"""Why a disk refuses writes, and what to do: each cause has its own words."""

from pathlib import Path

import pytest

from peatnode.errors import StorageFailed
from workers.store.disk.advice import (
    ADVICE_DISK,
    ADVICE_FULL,
    ADVICE_READ_ONLY,
    advice_of,
    reason_of,
)
from workers.store.disk.space import free_inodes


@pytest.mark.parametrize(
    ("text", "reason", "advice"),
    [
        (
            "IO error: No space left on device: While appending to file",
            "the disk is full",
            ADVICE_FULL,
        ),
        ("'/data/store' cannot be written: Disk quota exceeded", "the disk is full", ADVICE_FULL),
        ("IO error: Read-only file system: 000012.log", "the disk is read-only", ADVICE_READ_ONLY),
        ("IO error: Input/output error", "IO error: Input/output error", ADVICE_DISK),
    ],
)
def test_each_cause_is_told_apart(tmp_path: Path, text: str, reason: str, advice: str) -> None:
    assert reason_of(StorageFailed(text), tmp_path) == reason
    assert advice_of(StorageFailed(text), tmp_path) == advice


def test_inodes_of_a_disk_that_cannot_be_asked_are_unknown(tmp_path: Path) -> None:
    assert free_inodes(tmp_path / "missing") is None
    assert free_inodes(tmp_path) != 0
