"""Numbers, durations and moments as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

SAME_DAY_SECONDS = 20 * 3600
"""A moment that lies further back is told with its date."""


def span(seconds: float | None) -> str:
    """A duration in its two largest units: `3 d 4 h`, `12 min 5 s`."""
    if seconds is None or seconds < 0:
        return "–"
    if seconds < 1:
        return "<1 s"
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    rest = int(seconds)
    parts: list[str] = []
    for index, (name, length) in enumerate(units):
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count} {name}")
        if len(parts) == 2 or (parts and index == len(units) - 1):
            break
    return " ".join(part for part in parts if not part.startswith("0 ")) or "0 s"


def moment(at: float, now: float) -> str:
    """A time in UTC, because the reader and the node may be in different zones: `14:03 UTC`. Both in Unix seconds."""
    is_near = abs(now - at) < SAME_DAY_SECONDS
    return f"{datetime.fromtimestamp(at, UTC):{'%H:%M' if is_near else '%Y-%m-%d %H:%M'}} UTC"


def since(at: float, now: float) -> str:
    """When something began, and for how long it has lasted: `since 14:03 UTC (12 min)`."""
    return f"since {moment(at, now)} ({span(max(0.0, now - at))})"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_names(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more:,} more" if more > 0 else "")


def progress(own: int, theirs: int, differing: int, per_second: float, seconds_left: float) -> str:
    """How far the fetching of documents has come: `49,391 of 100,014 documents, 5,200/s, about 10 s left`.

    `own`, `theirs`: the documents of this node and of the peer; negative: unknown. `differing`: those that differ, at
    least. `seconds_left`: negative: unknown.
    """
    if 0 <= own < theirs:
        parts = [f"{own:,} of {theirs:,} documents"]
    elif differing > 0:
        parts = [
            f"at least {plural(differing, 'document')} {'differs' if differing == 1 else 'differ'}"
        ]
    else:
        parts = ["comparing documents"]
    parts.append(f"{per_second:,.0f}/s")
    if seconds_left >= 0:
        parts.append(f"about {span(max(1.0, seconds_left))} left")
    return ", ".join(parts)
