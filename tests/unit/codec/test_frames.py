"""One framing: whole frames out of any pieces, within a limit that may be raised."""

from __future__ import annotations

import pytest

from peatnode.codec.frames import FrameBuffer, frame
from peatnode.errors import MalformedFrame

STREAM = frame(b"one") + frame(b"") + frame(b"three")


def test_frames_come_whole_however_they_are_cut() -> None:
    for size in range(1, len(STREAM) + 1):
        buffer = FrameBuffer(5)
        pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
        assert [c for piece in pieces for c in buffer.receive_data(piece)] == [
            b"one",
            b"",
            b"three",
        ]


def test_what_is_kept_is_given_later() -> None:
    buffer = FrameBuffer(5)
    buffer.keep(STREAM[:-1])
    assert list(buffer.contents()) == [b"one", b""]
    assert list(buffer.receive_data(STREAM[-1:])) == [b"three"]


def test_a_reader_that_stops_early_loses_nothing() -> None:
    buffer = FrameBuffer(5)
    assert next(buffer.receive_data(STREAM)) == b"one"
    assert list(buffer.contents()) == [b"", b"three"]


def test_a_length_over_the_limit_is_refused_before_its_content() -> None:
    for length in (4, 2**32 - 1):
        with pytest.raises(MalformedFrame, match="over the limit of 3"):
            FrameBuffer(3).keep(length.to_bytes(4, "big"))
        with pytest.raises(MalformedFrame, match="over the limit of 3"):
            list(FrameBuffer(3).receive_data(length.to_bytes(4, "big")))


def test_the_limit_may_be_raised_between_two_frames() -> None:
    buffer = FrameBuffer(3)
    found = []
    for content in buffer.receive_data(STREAM):
        found.append(content)
        buffer.limit = 5
    assert found == [b"one", b"", b"three"]
