"""How much of an update is read before it is refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one update or state vector; every one of them is checked while reading."""

    max_bytes: int = 8 * 1024 * 1024
    max_structs: int = 200_000
    """All clients together. Integrating structs can cost quadratic time in an engine."""
    max_clients: int = 10_000
    """In the structs, in the delete set, and in a state vector, each counted by itself."""
    max_ranges: int = 500_000
    """Ranges of the delete set."""
    max_depth: int = 64
    """Nesting of one value, whether in lib0's Any encoding or in JSON."""
    max_clock: int = 2**32 - 1
    """Yjs allows 2**53, but yrs keeps clocks in 32 bits and panics beyond."""
    max_unanchored: int = 0
    """Items of one client without an origin where it has one already. An honest client's update has none; many cost
    an engine quadratic time."""


DEFAULT_LIMITS = Limits()
