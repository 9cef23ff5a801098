"""Formats numbers for terminals. No I/O. Durations and counts: `peatnode.model.amounts`."""

from __future__ import annotations


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


def round_trip(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
