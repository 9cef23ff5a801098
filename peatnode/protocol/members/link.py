"""What one connected instance of a peer has told, and whether it was equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from peatnode.model.members import PeerEventKind, RememberedPeer

DIFFERENT_SECONDS = 30.0
"""A difference is an event when it has lasted this long: under writes, roots differ for moments all the time."""


class MemberLink:
    """One connected instance. Its times are Unix seconds, except `differs_from`."""

    __slots__ = ("_differs_from", "_documents", "_equal_at", "_root", "_said")

    def __init__(self) -> None:
        self._root = b""
        self._documents = -1
        self._equal_at = 0.0
        self._differs_from: float | None = None
        """Time of the machine since which its root differs; None: it is equal, or was not compared."""
        self._said: PeerEventKind | None = None

    def told(self, root: bytes, documents: int) -> None:
        self._root, self._documents = root, documents

    def compared(self, is_equal: bool, now: float, unix: float) -> PeerEventKind | None:
        """Its root was compared with that of this node; returns what is worth an event."""
        kind = None
        if is_equal:
            self._equal_at, self._differs_from = unix, None
            kind = PeerEventKind.EQUAL
        elif self._differs_from is None:
            self._differs_from = now
        elif now - self._differs_from >= DIFFERENT_SECONDS:
            kind = PeerEventKind.DIFFERENT
        if kind is None or kind is self._said:
            return None
        self._said = kind
        return kind

    def shift(self, move: Callable[[float], float]) -> None:
        """The wall clock was set: `move` corrects a time."""
        self._equal_at = move(self._equal_at)

    def as_of(self, record: RememberedPeer, unix: float) -> RememberedPeer:
        """The record of the peer now."""
        if not self._root:
            return replace(record, last_seen=unix)
        return replace(
            record,
            last_seen=unix,
            last_equal=max(record.last_equal, self._equal_at),
            root=self._root,
            documents=self._documents,
        )


def shifted(record: RememberedPeer, move: Callable[[float], float]) -> RememberedPeer:
    """The record after the wall clock was set: `move` corrects a time."""
    return replace(
        record,
        first_seen=move(record.first_seen),
        last_seen=move(record.last_seen),
        last_equal=move(record.last_equal),
    )
