"""The time in a simulated world."""

from __future__ import annotations

EPOCH = 1_800_000_000.0
"""Unix time at which every world begins."""
