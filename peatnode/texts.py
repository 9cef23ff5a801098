"""Names and texts that another machine gives: what a node id may be, and a text that is safe to show.

Whatever shows or logs such a text may rely on it: it is one line, and no character of it moves the cursor, changes the
order of what stands beside it, or is invisible.
"""

from __future__ import annotations

import json
import re

MAX_NAME_BYTES = 253
"""Of a node id, and so of its characters: the longest host name (RFC 1035, section 2.3.4, in text)."""

MAX_TEXT_CHARACTERS = 200
"""Of a text from another machine that is kept: a reason is a sentence."""

REPLACEMENT = "\ufffd"
"""What stands for a character that is not shown."""

_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f"  # control characters: line breaks, escape sequences
    r"\u2028\u2029"  # line breaks of Unicode
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction (Unicode Standard Annex 9)
    r"\u00ad\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # invisible
    "\U000e0000-\U000e007f"  # tags; the characters themselves, because JavaScript has no such escape
)
"""A list of its own, because what Python calls printable depends on its version, and nodes must agree."""

_unshown = re.compile(rf"[{_HIDDEN}\ud800-\udfff]")
"""Also halves of surrogate pairs, which are no text."""

_BLANK = r"\u034f\u115f\u1160\u2800\u3164\uffa0\ufe00-\ufe0f" "\U000e0100-\U000e01ef"
"""Characters of texts that show nothing: in a name they would make another one that looks the same."""

NAME_PATTERN = rf'[^\s/@,="{_HIDDEN}{_BLANK}]{{1,{MAX_NAME_BYTES}}}'
"""The characters of a name, as OpenAPI describes it. A regular expression cannot count the bytes of a character."""

_name = re.compile(NAME_PATTERN)


def is_name(text: str) -> bool:
    """Whether a node or a cluster can have this name: 1 to 253 bytes, and no character that would divide it.

    Names stand in paths of the API, where `.` and `..` mean something else.
    """
    if not _name.fullmatch(text) or _unshown.search(text) or text in (".", ".."):
        return False
    return len(text.encode()) <= MAX_NAME_BYTES


def one_line(text: str) -> str:
    """The text, with REPLACEMENT for each character that is not shown."""
    return text if text.isprintable() else _unshown.sub(REPLACEMENT, text)


def escaped(text: str) -> str:
    """The text with the escapes of JSON for characters that are not shown. It may be JSON already."""
    return text if text.isprintable() else _unshown.sub(lambda it: json.dumps(it[0])[1:-1], text)


def cleaned(text: str, limit: int = MAX_TEXT_CHARACTERS) -> str:
    """`one_line` of a text that another machine gives, and at most `limit` characters of it."""
    return one_line(text[:limit])
