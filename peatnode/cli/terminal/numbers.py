"""Formats numbers for people. No I/O."""

from __future__ import annotations

from collections.abc import Sequence


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


def size(octets: int) -> str:
    """A number of bytes, such as `3.4 MiB`."""
    if octets < 1024:
        return f"{octets} B"
    amount = float(octets)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if amount < 1024 or unit == "TiB":
            break
    return f"{amount:.1f} {unit}" if amount < 100 else f"{amount:.0f} {unit}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def first_names(names: Sequence[str]) -> str:
    """The first three names, with an ellipsis if there are more."""
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


def round_trip(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def printable(text: str) -> str:
    """The text without control characters: names and reasons come from other machines."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)
