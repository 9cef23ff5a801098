"""What a store tells its operator of conflicts."""

from __future__ import annotations

from collections.abc import Sequence


class ConflictNotes:
    """Remembers each lost state that was found, and the documents of those that are kept."""

    def __init__(self) -> None:
        self.found_names: list[str] = []
        self.kept_names: list[str] = []

    def found(self, name: str, peer: str, clients: Sequence[int], was_mine: bool) -> None:
        self.found_names.append(name)

    def kept(self, names: Sequence[str], dropped: int) -> None:
        self.kept_names = list(names)
