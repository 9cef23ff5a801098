import json

import pytest

from peatnode.client._wire import bulk
from peatnode.client._wire.bulk import ImportChunk, chunks_of
from peatnode.client._wire.responses import NodeResponse
from peatnode.client.errors import UnexpectedAnswer
from peatnode.client.models import Deleted, Document, ImportedLine


def test_chunks_are_bounded_in_lines_and_know_their_place() -> None:
    chunks = list(chunks_of((b"%d" % number for number in range(25)), chunk_lines=10))
    assert [(chunk.first_line, len(chunk.lines)) for chunk in chunks] == [
        (1, 10),
        (11, 10),
        (21, 5),
    ]


def test_chunks_are_bounded_in_bytes() -> None:
    line = b"x" * (bulk.CHUNK_BYTES // 3 - 1)
    assert [chunk.first_line for chunk in chunks_of([line] * 7)] == [1, 4, 7]


def test_one_line_may_be_larger_than_a_chunk() -> None:
    line = b"x" * (bulk.CHUNK_BYTES + 1)
    assert [chunk.first_line for chunk in chunks_of([line, line])] == [1, 2]


def test_answers_are_numbered_over_the_whole_import() -> None:
    call = bulk.import_chunk("c", ImportChunk(101, (b'{"_id":"a"}', b"nonsense")))
    assert call.content == b'{"_id":"a"}\nnonsense\n'
    body = b'{"line":1,"id":"a","status":201}\n{"line":2,"status":400,"detail":"No JSON."}\n'
    assert call.read(NodeResponse(200, {}, body)) == (
        ImportedLine(101, "a", 201),
        ImportedLine(102, "", 400, "No JSON."),
    )


def test_an_export_tells_documents_and_those_that_went_meanwhile() -> None:
    assert bulk.exported_document("c", b'{"a":1,"_id":"x"}') == Document("c", "x", {"a": 1})
    assert bulk.exported_document("c", b'{"_id":"x","_deleted":true}') == Deleted("c", "x")


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[]", b'{"a":1}'])
def test_a_line_that_is_no_document_ends_it(line: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        bulk.exported_document("c", line)


def test_lines_of_any_value() -> None:
    assert bulk.line_of(b'{"a":1}\r\n') == b'{"a":1}'
    assert json.loads(bulk.line_of({"a": "ü\n"})) == {"a": "ü\n"}


def test_a_document_of_several_lines_is_one_line() -> None:
    printed = json.dumps({"a": [1, "\n\u2028"]}, indent=2).encode()
    line = bulk.line_of(printed)
    assert b"\n" not in line
    assert json.loads(line) == json.loads(printed)
    assert (
        bulk.line_of(b'{"_id":"a"}\n{"_id":"b"}\n') == b'{"_id":"a"} {"_id":"b"}'
    )  # one, and wrong


def test_what_json_cannot_represent_is_a_value_error() -> None:
    deep: list[object] = []
    for _ in range(10**5):
        deep = [deep]
    for wrong, said in (
        (deep, "too deep"),
        (float("nan"), "Out of range"),
        ("\ud800", "surrogates"),
    ):
        with pytest.raises(ValueError, match=said):
            bulk.line_of({"a": wrong})
