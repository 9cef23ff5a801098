"""What a node id may be, and what is left of a text that another machine gives."""

from __future__ import annotations

import random

import pytest

from peatnode.texts import MAX_NAME_BYTES, MAX_TEXT_CHARACTERS, cleaned, is_name, one_line

UNSHOWN = [
    "\n",
    "\r",
    "\t",
    "\x1b",
    "\x7f",
    "\x85",
    "\x9b",
    "\u2028",
    "\u2029",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
]
UNSHOWN += ["\u200f", "\u00ad", "\ud800", "\udfff", "\U000e0041"]


@pytest.mark.parametrize(
    "name", ["a", "...", "peat-mesh-0", "n.east", "knoten-ä", "节点", "x" * 253, "ä" * 126]
)
def test_names(name: str) -> None:
    assert is_name(name)
    assert cleaned(name, MAX_NAME_BYTES) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a b",
        "a/b",
        "a@b",
        "a,b",
        "a=b",
        'a"b',
        "a\u3164",
        "a\ufe0f",
        "x" * 254,
        "ä" * 127,
    ],
)
def test_no_names(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("char", UNSHOWN, ids=ascii)
def test_what_is_not_shown_is_in_no_name_and_in_no_text(char: str) -> None:
    assert not is_name(f"a{char}b")
    assert cleaned(f"a {char}b") == "a \ufffdb"


def test_a_long_text_is_cut() -> None:
    assert cleaned("é" * 10_000) == "é" * MAX_TEXT_CHARACTERS


def test_any_text_is_one_line_that_can_be_encoded(rng: random.Random) -> None:
    for _ in range(2000):
        text = "".join(
            chr(rng.choice([rng.randrange(256), rng.randrange(0x11000)])) for _ in range(20)
        )
        line = one_line(text)
        assert len(line.splitlines()) <= 1
        assert one_line(line) == line
        assert line.encode()
