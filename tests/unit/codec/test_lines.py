import random

from peatnode.codec.lines import LineBuffer

SEPARATORS = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""What `str.splitlines` takes for the end of a line, and JSON does not."""


def test_only_a_line_feed_ends_a_line() -> None:
    line = f'{{"a":"{SEPARATORS}"}}'.encode()
    lines = LineBuffer(1000)
    assert lines.receive(line + b"\n\n" + line) == [line, b""]
    assert lines.rest() == line
    assert lines.rest() == b""


def test_parts_may_end_anywhere(rng: random.Random) -> None:
    content = "".join(rng.choices("ab\n\r\u2028", k=500)).encode()
    for _ in range(50):
        lines, found, at = LineBuffer(1000), [], 0
        while at < len(content):
            end = at + rng.randint(0, 20)
            found += lines.receive(content[at:end])
            at = end
        assert [*found, lines.rest()] == content.split(b"\n")


def test_of_a_line_that_is_too_long_one_byte_beyond_the_limit_is_kept() -> None:
    lines = LineBuffer(10)
    for _ in range(1000):
        assert lines.receive(b"x" * 7) == []
        assert lines.size <= 11
    assert lines.receive(b"x\nshort\ny") == [b"x" * 11, b"short"]
    assert lines.size == 1
    assert lines.rest() == b"y"
