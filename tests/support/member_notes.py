"""What a store tells its operator of damaged entries about peers."""

from __future__ import annotations

from collections.abc import Sequence


class MemberNotes:
    """Remembers what was damaged."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def damaged(self, names: Sequence[str]) -> None:
        self.names = list(names)
