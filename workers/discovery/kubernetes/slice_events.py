"""What the list-and-watch machine is told, and what it answers. Each request has a number; its answers bear it.

No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.discovery.kubernetes.slices import SlicePage, WatchLine
from workers.discovery.sighting import SightingsChanged


@dataclass(frozen=True, slots=True)
class CallFailure:
    """Why a request got no answer that can be used."""

    status: int
    """As of HTTP; 0: there was no answer."""
    reason: str
    retry_after: float = 0.0
    """Seconds the server asked to wait."""


# --- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PageListed:
    request: int
    page: SlicePage


@dataclass(frozen=True, slots=True)
class ListFailed:
    request: int
    failure: CallFailure


@dataclass(frozen=True, slots=True)
class WatchOpened:
    request: int


@dataclass(frozen=True, slots=True)
class LineReceived:
    request: int
    line: WatchLine


@dataclass(frozen=True, slots=True)
class WatchEnded:
    """The stream is over, in whatever way; `failure` is None where the server ended it properly."""

    request: int
    failure: CallFailure | None


@dataclass(frozen=True, slots=True)
class Tick:
    """The machine's deadline has come."""


Event = PageListed | ListFailed | WatchOpened | LineReceived | WatchEnded | Tick


# --- actions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListSlices:
    request: int
    token: str
    is_paged: bool
    """Else everything in one answer: the server forgets the place of a list within minutes."""


@dataclass(frozen=True, slots=True)
class WatchSlices:
    request: int
    resource_version: str
    seconds: int


@dataclass(frozen=True, slots=True)
class CloseWatch:
    request: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something keeps going wrong; None: no more."""

    failure: CallFailure | None


Action = ListSlices | WatchSlices | CloseWatch | SightingsChanged | Trouble
