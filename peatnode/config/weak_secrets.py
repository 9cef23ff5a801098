"""Secrets that somebody can guess: whoever guesses the formation's secret is a member."""

from __future__ import annotations

import hashlib
import itertools

MIN_DIFFERENT_BYTES = 8
"""Of 16 random bytes, fewer are different in one case of 10^13."""

_PUBLISHED = frozenset({"61e6e0cba0c14df61b333df24049027f268b94adf86596d1506336b34efcef3c"})
"""SHA-256 of the good secrets that stand in this repository outside of the tests: those of `chart/ci`."""

_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")


def find_weakness(secret: bytes) -> str:
    """What is wrong with a secret, in the form of `holds …`; empty if nothing is."""
    different = len(set(secret))
    if different == 1:
        return "holds the same byte again and again"
    if different < MIN_DIFFERENT_BYTES:
        return f"holds only {different} different bytes"
    steps = {(after - before) % 256 for before, after in itertools.pairwise(secret)}
    if len(steps) == 1:
        return "holds bytes that count up or down"
    if _PRINTABLE.issuperset(secret):
        return "holds a text, which somebody can guess, and no random bytes"
    if hashlib.sha256(secret).hexdigest() in _PUBLISHED:
        return "holds an example of the documents of peatnode"
    return ""
