"""What a verdict on the clock says to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NAMED_PEERS = 3
"""Peers that a sentence names."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECONDS = -60_000_000_000.0
"""Python has no date that is much earlier."""


def before_software(unix: float) -> str:
    day = _EPOCH + timedelta(seconds=max(_FIRST_SECONDS, unix))
    return f"the clock of this node shows {day:%Y-%m-%d}, which cannot be right"


def differs(offsets: dict[str, float], differing: int, compared: int) -> str:
    """`offsets`: the clocks of the peers that do not agree, minus the own one."""
    return (
        f"the clock of this node differs from those of {differing} of {compared} connected peers: "
        f"{_listed(offsets)}"
    )


def half_differs(offsets: dict[str, float], differing: int, compared: int) -> str:
    if compared == 1:
        return f"the clocks of this node and of its only connected peer differ: {_listed(offsets)}"
    return (
        f"the clock of this node agrees with no majority: it differs from those of {differing} of "
        f"{compared} connected peers: {_listed(offsets)}"
    )


def was_set(seconds: float) -> str:
    direction = "forward" if seconds > 0 else "back"
    return (
        f"the clock of this node was set {direction} by {abs(seconds):,.0f} s, "
        "and no peer is connected to compare it with"
    )


def deviates(seconds: float, peers: tuple[str, ...]) -> str:
    """`seconds`: the own clock minus the median. It does not say whose clock is wrong: nobody can know."""
    direction = "ahead of" if seconds > 0 else "behind"
    one = f"that of its only connected peer, {peers[0]}"
    of = one if len(peers) == 1 else f"the median of its {len(peers)} peers"
    return f"this node's clock is {abs(seconds):,.1f} s {direction} {of}"


def most_agree(agreeing: int, compared: int) -> str:
    return f"the clock agrees with those of {agreeing} of {compared} connected peers"


def alone() -> str:
    return "the clock has been compared with that of no peer"


def _listed(offsets: dict[str, float]) -> str:
    named = [
        f"{name} is {abs(seconds):,.0f} s {'ahead' if seconds > 0 else 'behind'}"
        for name, seconds in list(offsets.items())[:NAMED_PEERS]
    ]
    more = len(offsets) - len(named)
    return ", ".join(named) + (f", and {more} more" if more else "")
