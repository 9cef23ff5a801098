import io
import json
import os
import stat
from pathlib import Path

import orjson

from peatnode.cli.documents.checkpoint import Progress, ProgressFile
from peatnode.cli.documents.import_lines import ImportedFile, with_fixed_id
from peatnode.cli.secret_file import ensure_secret, write_secret
from peatnode.config import LARGEST_BODY_BYTES


def test_progress_is_kept_for_the_same_job_only(tmp_path: Path) -> None:
    kept = ProgressFile(tmp_path / "p")
    kept.save(Progress("import c", 100, 7, 1, "x"))
    assert kept.load("import c") == Progress("import c", 100, 7, 1, "x")
    assert kept.load("import d") == Progress("import d")
    assert os.listdir(tmp_path) == ["p"]
    kept.remove()
    assert kept.load("import c") == Progress("import c")


def test_progress_that_cannot_be_read_is_a_beginning(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"job": "j", "more": 1}'):
        (tmp_path / "p").write_text(text)
        assert ProgressFile(tmp_path / "p").load("j") == Progress("j")


def test_a_line_without_id_gets_the_same_one_each_time() -> None:
    line = b'{"a":1}'
    first = json.loads(with_fixed_id(line, 3))
    assert first == json.loads(with_fixed_id(line, 3))
    assert first["_id"] != json.loads(with_fixed_id(line, 4))["_id"]
    assert first["a"] == 1


def test_an_id_further_down_is_none_and_the_line_stays_as_it_is() -> None:
    for line in (b' { "a" : {"_id": "x"}, "n":99999999999999999999 } ', b"{ }"):
        fixed = with_fixed_id(line, 1)
        assert fixed == with_fixed_id(line, 1)
        value = json.loads(fixed)
        assert len(value.pop("_id")) == 30
        assert value == json.loads(line)


def test_lines_with_an_id_and_bad_lines_pass_as_they_are() -> None:
    for line in (b'{"_id":"x","a":1}', b'{"_deleted":1}', b"nonsense", b"[1]", b"", b"\xff"):
        assert with_fixed_id(line, 1) is line


def test_chunks_cover_the_file_byte_for_byte() -> None:
    content = (
        b"".join(orjson.dumps({"_id": str(n)}) + b"\r\n" for n in range(2500)) + b'{"_id":"z"}'
    )
    chunks = list(ImportedFile(io.BytesIO(content)).chunks(11))
    assert [chunk.first_line for chunk in chunks] == [11, 1011, 2011]
    assert sum(chunk.size for chunk in chunks) == len(content)
    assert sum(len(chunk.lines) for chunk in chunks) == 2501


def test_marks_and_ends_of_lines_are_no_part_of_them() -> None:
    mark = b"\xef\xbb\xbf"
    plain = b'{"a":1}\n{"_id":"x"}\n\n{"a":"\xe2\x80\xa8"}'
    (lines,) = (chunk.lines for chunk in ImportedFile(io.BytesIO(plain)).chunks(1))
    assert len(lines) == 4
    for other in (mark + plain, plain.replace(b"\n", b"\r\n"), plain.replace(b"\n", b"\n" + mark)):
        (found,) = ImportedFile(io.BytesIO(other)).chunks(1)
        assert found.lines == lines
        assert (found.unnamed, found.size) == (2, len(other))


def test_a_line_that_is_too_long_is_told_and_not_kept() -> None:
    longest = b'{"a":"' + b"x" * (LARGEST_BODY_BYTES - 9) + b'"}\n'
    assert len(longest) == LARGEST_BODY_BYTES
    content = (
        longest
        + b'{"_id":"a"}\n'
        + b"x" * (3 * LARGEST_BODY_BYTES)
        + b'\n{"_id":"b"}\n'
        + b"x"
        + longest
    )
    chunks = list(ImportedFile(io.BytesIO(content)).chunks(1))
    assert [number for chunk in chunks for number in chunk.too_long] == [3, 5]
    lines = [line for chunk in chunks for line in chunk.lines]
    assert lines[1:] == [b'{"_id":"a"}', b"", b'{"_id":"b"}', b""]
    assert sum(chunk.size for chunk in chunks) == len(content)


def test_the_digest_of_a_chunk_is_that_of_the_file_up_to_it() -> None:
    content = b"".join(b"%d\n" % number for number in range(5000))
    first, *others = ImportedFile(io.BytesIO(content)).chunks(1)
    again = ImportedFile(io.BytesIO(content))
    assert again.skip(first.size) == first.digest
    assert [chunk.digest for chunk in again.chunks(1001)] == [chunk.digest for chunk in others]
    again.rewind()
    assert again.skip(first.size + 1) != first.digest
    assert ImportedFile(io.BytesIO(content[:100])).skip(first.size) != first.digest


def test_a_kept_secret_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "secret"
    assert ensure_secret(file)
    kept = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not ensure_secret(file)
    assert file.read_text() == kept


def test_what_a_crash_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".secret.{os.getpid() + 1}").write_text("half")
    write_secret(tmp_path / "secret", "x")
    assert (tmp_path / "secret").read_text() == "x\n"
