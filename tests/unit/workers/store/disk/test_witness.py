"""The commit witness: where its file is, what it holds, and when it holds nothing."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from workers.store.disk.witness import CommitWitness, Witnessed, file_system_of, open_witness

BOOT = bytes(range(16))


@pytest.fixture
def private() -> Iterator[tuple[Path, int]]:
    """A directory on a tmpfs, and its descriptor, which a witness closes."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        yield Path(name), directory


def again(directory: int) -> int:
    return os.dup(directory)


def only_file(directory: Path) -> Path:
    (file,) = directory.iterdir()
    return file


def test_the_next_process_finds_what_was_noted_last(private: tuple[Path, int], tmp_path: Path):
    place, directory = private
    first = CommitWitness(again(directory), tmp_path, BOOT)
    assert first.found is None
    first.begin(5, 100)
    first.note_write(101)
    first.note(101)
    first.note_write(2**40 + 7)
    first.note(2**40)
    first.close()
    assert stat.S_IMODE(only_file(place).stat().st_mode) == 0o600
    second = CommitWitness(again(directory), tmp_path, BOOT)
    assert second.found == Witnessed(True, 5, 2**40, 2**40 + 7)
    second.note(2**40 + 1)
    second.close()
    other_boot = CommitWitness(directory, tmp_path, BOOT[::-1])
    assert other_boot.found == Witnessed(False, 5, 2**40 + 1, 2**40 + 7)
    other_boot.close()


def test_a_killed_process_leaves_what_it_noted(private: tuple[Path, int], tmp_path: Path):
    _, directory = private
    pid = os.fork()
    if pid == 0:
        child = CommitWitness(directory, tmp_path, BOOT)
        child.begin(5, 1)
        child.note_write(3)
        child.note(2)
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    parent = CommitWitness(directory, tmp_path, BOOT)
    assert parent.found == Witnessed(True, 5, 2, 3)
    parent.close()


def test_each_store_has_its_own(private: tuple[Path, int], tmp_path: Path):
    _, directory = private
    one, two = (CommitWitness(again(directory), tmp_path / name, BOOT) for name in "ab")
    one.begin(1, 1)
    two.begin(2, 2)
    one.close(), two.close()
    again_one = CommitWitness(directory, tmp_path / "a", BOOT)
    assert again_one.found == Witnessed(True, 1, 1, 1)
    again_one.close()


def test_who_lost_its_file_to_another_cannot_write_to_it(private: tuple[Path, int], tmp_path: Path):
    """Two containers may share the directory and the path of their stores."""
    _, directory = private
    one = CommitWitness(again(directory), tmp_path, BOOT)
    one.begin(1, 50)
    two = CommitWitness(again(directory), tmp_path, BOOT)
    two.begin(2, 100)
    one.note_write(51)
    one.note(51)
    one.close(), two.close()
    after = CommitWitness(directory, tmp_path, BOOT)
    assert after.found == Witnessed(True, 2, 100, 100)
    after.close()


def test_a_file_that_cannot_be_written_is_removed(private: tuple[Path, int], tmp_path: Path):
    place, directory = private
    witness = CommitWitness(directory, tmp_path, BOOT)
    witness.begin(1, 50)
    (place / f"{only_file(place).name}.new").mkdir()
    witness.begin(2, 60)
    assert [file for file in place.iterdir() if file.is_file()] == []
    witness.note(61)
    witness.close()


@pytest.mark.parametrize(
    "content", [b"", b"short", bytes(64), b"peatwit1" + bytes(56), b"peatwit1" + bytes(56) + b"/x"]
)
def test_foreign_content_is_no_witness(private: tuple[Path, int], tmp_path: Path, content: bytes):
    place, directory = private
    witness = CommitWitness(again(directory), tmp_path, BOOT)
    witness.begin(1, 1)
    witness.close()
    only_file(place).write_bytes(content)
    after = CommitWitness(directory, tmp_path, BOOT)
    assert after.found is None
    after.close()


def test_a_symbolic_link_is_no_witness(private: tuple[Path, int], tmp_path: Path):
    place, directory = private
    witness = CommitWitness(again(directory), tmp_path, BOOT)
    witness.begin(1, 1)
    witness.close()
    file = only_file(place)
    (tmp_path / "elsewhere").write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    after = CommitWitness(directory, tmp_path, BOOT)
    assert after.found is None
    after.begin(2, 2)
    assert not file.is_symlink()
    assert struct.unpack_from("=Q", (tmp_path / "elsewhere").read_bytes(), 24) == (1,)
    after.close()


def test_stores_that_do_not_exist_any_more_leave_no_file(tmp_path: Path):
    with TemporaryDirectory(dir="/dev/shm") as run_dir:
        for name in ("kept", "gone"):
            (tmp_path / name).mkdir()
            witness = open_witness(tmp_path / name, Path(run_dir))
            witness.begin(1, 1)
            witness.close()
        private = Path(run_dir) / f"peatnode-{os.getuid()}"
        (private / "unknown").write_bytes(b"somebody else's")
        (tmp_path / "gone").rmdir()
        witness = open_witness(tmp_path / "kept", Path(run_dir))
        assert witness.found is not None
        witness.close()
        assert len(list(private.iterdir())) == 2


def test_a_directory_that_others_can_write_is_not_used(tmp_path: Path):
    with TemporaryDirectory(dir="/dev/shm") as run_dir:
        private = Path(run_dir) / f"peatnode-{os.getuid()}"
        private.mkdir()
        private.chmod(0o770)
        witness = open_witness(tmp_path, Path(run_dir))
        witness.begin(1, 1)
        witness.discard()
        witness.close()
        assert list(private.iterdir()) == []


MOUNTS = r"""22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw
24 23 0:20 / /dev/shm rw,nosuid shared:3 master:1 - tmpfs tmpfs rw
25 22 0:21 / /run rw - tmpfs tmpfs rw
26 25 8:2 / /run/a\040disk rw - ext4 /dev/sdb1 rw
27 22 0:30 / /mnt rw - tmpfs tmpfs rw
28 22 8:3 / /mnt rw - xfs /dev/sdc1 rw
"""
MOUNTS += "29 22 8:4 / /a\u2028\x0b\x1c\x85\r\udcff rw - xfs /dev/sdd1 rw\n"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/x", "ext4"),
        ("/dev/shm/peatnode-0", "tmpfs"),
        ("/dev/shmother", "devtmpfs"),
        ("/run/user/1", "tmpfs"),
        ("/run/a disk/x", "ext4"),
        ("/mnt/x", "xfs"),
        ("/a\u2028\x0b\x1c\x85\r\udcff/x", "xfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_its_longest_mount(path: str, kind: str):
    assert file_system_of(Path(path), MOUNTS) == kind
