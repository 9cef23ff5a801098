"""The note of the format beside the database."""

from pathlib import Path

import pytest

from peatnode.errors import BadConfiguration
from workers.store.disk.format import check_noted_format, note_format, noted_format


def test_a_store_without_a_note_is_of_the_first_release_or_new(tmp_path: Path) -> None:
    assert noted_format(tmp_path) == 0
    assert noted_format(tmp_path / "missing") == 0
    check_noted_format(tmp_path, 1)


def test_the_note_is_replaced_in_one_step_and_only_if_it_differs(tmp_path: Path) -> None:
    note_format(tmp_path, 2)
    inode = (tmp_path / "format").stat().st_ino
    note_format(tmp_path, 2)
    assert (tmp_path / "format").stat().st_ino == inode
    note_format(tmp_path, 3)
    assert noted_format(tmp_path) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["format"]


@pytest.mark.parametrize("text", ["", "x", "2.5"])
def test_a_note_that_is_no_number_leaves_the_decision_to_the_database(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "format").write_text(text)
    check_noted_format(tmp_path, 1)


def test_a_newer_format_is_refused_with_both_numbers_and_what_to_do(tmp_path: Path) -> None:
    note_format(tmp_path, 3)
    check_noted_format(tmp_path, 3)
    with pytest.raises(BadConfiguration, match=r"format 3, this one reads 2\): run that peatnode"):
        check_noted_format(tmp_path, 2)


def test_a_note_with_a_damaged_byte_is_not_that_of_a_newer_program(tmp_path: Path) -> None:
    note_format(tmp_path, 12)
    content = (tmp_path / "format").read_bytes()
    for at in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[at] ^= 1 << bit
            (tmp_path / "format").write_bytes(flipped)
            assert noted_format(tmp_path) == 0
        (tmp_path / "format").write_bytes(content[:at])
        assert noted_format(tmp_path) == 0
