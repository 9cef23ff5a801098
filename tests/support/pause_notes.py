"""What a store tells its operator of peers whose deletions are paused."""

from __future__ import annotations

from collections.abc import Sequence


class PauseNotes:
    """Remembers the names that it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def paused(self, peers: Sequence[str]) -> None:
        self.told.append(tuple(peers))
