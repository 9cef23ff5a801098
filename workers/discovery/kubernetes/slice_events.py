"""The events and actions of the list-and-watch machine. A request and its responses have the same number.

No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from workers.discovery.kubernetes.slices import SlicePage, WatchLine
from workers.discovery.sighting import SightingsChanged


@dataclass(frozen=True, slots=True)
class CallFailure:
    """The reason why a request had no usable response."""

    status: int
    """HTTP status; 0: no response."""
    reason: str
    retry_after: float = 0.0
    """Seconds that the server asked to wait."""


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
    """The stream has ended; `failure` is None if the server ended it properly."""

    request: int
    failure: CallFailure | None


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline of the machine has passed."""


Event = PageListed | ListFailed | WatchOpened | LineReceived | WatchEnded | Tick


# --- actions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListSlices:
    request: int
    token: str
    is_paged: bool
    """Otherwise everything is requested in one response, because continue tokens expire within minutes."""


@dataclass(frozen=True, slots=True)
class WatchSlices:
    request: int
    resource_version: str
    seconds: int


@dataclass(frozen=True, slots=True)
class CloseWatch:
    request: int


@dataclass(frozen=True, slots=True)
class ProblemChanged:
    """A failure persists and is reported to the operator; None: it has ended."""

    failure: CallFailure | None


Action = ListSlices | WatchSlices | CloseWatch | SightingsChanged | ProblemChanged
