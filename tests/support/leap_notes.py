"""What a store tells its operator of changes that leap."""

from __future__ import annotations

from collections.abc import Sequence

from workers.store.quarantine.leaps import KeptLeap


class LeapNotes:
    """Remembers each leap that was found, and the documents of those that wait."""

    def __init__(self) -> None:
        self.found_leaps: list[KeptLeap] = []
        self.kept_names: list[str] = []
        self.damaged_entries = 0

    def found(self, leap: KeptLeap) -> None:
        self.found_leaps.append(leap)

    def damaged(self, count: int) -> None:
        self.damaged_entries += count

    def kept(self, names: Sequence[str], lost: int) -> None:
        self.kept_names = list(names)
