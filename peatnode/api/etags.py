"""Entity tags and conditions on them (RFC 9110, 8.8.3 and 13.1). No I/O.

The tag of a document is its fingerprint in hex.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ANY = b"*"
"""Matches every existing document."""

_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(,|$)')

UNKNOWN = b"?"
"""Replaces a tag that is not a fingerprint. It is equal to no fingerprint."""


class BadCondition(ValueError):
    """The header is not a list of entity tags."""


@dataclass(frozen=True, slots=True)
class EntityTag:
    opaque: str
    is_weak: bool


def etag(fingerprint: bytes) -> str:
    """The value of an ETag field."""
    return f'"{fingerprint.hex()}"'


def parse_tags(text: str) -> tuple[EntityTag, ...] | None:
    """The tags of If-Match or If-None-Match; None for `*`. Raises BadCondition."""
    if text.strip() == "*":
        return None
    tags = []
    position = 0
    while position < len(text):
        match = _TAG.match(text, position)
        if match is None:
            raise BadCondition(
                f'character {position + 1}: expected a quoted tag such as "0f3a…", a list of them, or *'
            )
        tags.append(EntityTag(match[2], match[1] is not None))
        position = match.end()
    if not tags or text.rstrip().endswith(","):
        raise BadCondition("expected a quoted tag, a list of them, or *")
    return tuple(tags)


def _fingerprint(tag: EntityTag) -> bytes:
    try:
        fingerprint = bytes.fromhex(tag.opaque)
    except ValueError:
        return UNKNOWN
    return fingerprint if fingerprint.hex() == tag.opaque else UNKNOWN


def match_fingerprints(text: str) -> tuple[bytes, ...]:
    """The fingerprints of an If-Match field. The comparison is strong: a weak tag matches nothing.

    Raises BadCondition.
    """
    tags = parse_tags(text)
    if tags is None:
        return (ANY,)
    return tuple(UNKNOWN if tag.is_weak else _fingerprint(tag) for tag in tags)


def none_match_fingerprints(text: str) -> tuple[bytes, ...]:
    """The fingerprints of an If-None-Match field. The comparison is weak. Raises BadCondition."""
    tags = parse_tags(text)
    if tags is None:
        return (ANY,)
    return tuple(_fingerprint(tag) for tag in tags)


def matches(wanted: tuple[bytes, ...], fingerprint: bytes) -> bool:
    """Whether one of the tags matches an existing document with this fingerprint."""
    return ANY in wanted or fingerprint in wanted
