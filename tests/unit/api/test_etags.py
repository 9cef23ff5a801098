from __future__ import annotations

import pytest

from peatnode.api.etags import (
    ANY,
    UNKNOWN,
    BadCondition,
    EntityTag,
    match_fingerprints,
    matches,
    none_match_fingerprints,
    parse_tags,
)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("*", None),
        (" * ", None),
        ('"a"', (EntityTag("a", False),)),
        ('W/"a"', (EntityTag("a", True),)),
        ('"a", W/"b" ,"c"', (EntityTag("a", False), EntityTag("b", True), EntityTag("c", False))),
        ('""', (EntityTag("", False),)),
        ('"a,b"', (EntityTag("a,b", False),)),
    ],
)
def test_tags(text: str, tags: tuple[EntityTag, ...] | None) -> None:
    assert parse_tags(text) == tags


@pytest.mark.parametrize(
    "text", ["", " ", "a", '"a', '"a" "b"', '"a",', 'w/"a"', '"a", *', '*, "a"']
)
def test_bad_tags(text: str) -> None:
    with pytest.raises(BadCondition):
        parse_tags(text)


def test_strong_and_weak_comparison() -> None:
    assert match_fingerprints('"0a", W/"0b", "0B", "x"') == (b"\x0a", UNKNOWN, UNKNOWN, UNKNOWN)
    assert none_match_fingerprints('"0a", W/"0b"') == (b"\x0a", b"\x0b")
    assert match_fingerprints("*") == (ANY,)


def test_matches() -> None:
    assert matches((ANY,), b"\x01")
    assert matches((b"\x02", b"\x01"), b"\x01")
    assert not matches((b"\x02",), b"\x01")
    assert not matches((), b"\x01")
