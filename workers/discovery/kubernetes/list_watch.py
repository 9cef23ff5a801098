"""List and watch: decides which request is sent next, and applies each response to the known slices.

No I/O. A list returns all slices and a resourceVersion, a watch the changes from there on. When a watch ends
for any reason, the next one starts where it ended. If the server no longer knows that version (410), or if
two watches in a row fail, everything is listed again. A periodic list during the watch is compared with the
known slices. It detects a watch that silently delivers no events, which is then replaced.

Source: "Efficient detection of changes" in the Kubernetes API concepts,
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.discovery.kubernetes.slice_events import (
    Action,
    CallFailure,
    CloseWatch,
    Event,
    LineReceived,
    ListFailed,
    ListSlices,
    PageListed,
    ProblemChanged,
    Tick,
    WatchEnded,
    WatchOpened,
    WatchSlices,
)
from workers.discovery.kubernetes.slice_table import SliceTable
from workers.discovery.kubernetes.slices import LineKind, Slice, SlicePage, WatchLine

GONE = 410

NEEDS_OPERATOR = frozenset({401, 403, 404})
"""Statuses that persist until an operator changes something."""

PROVEN_SECONDS = 1.0
"""A watch that lasted this long resets the backoff."""

MAX_PAGES = 1000
"""Limit for one list, in case the server always announces another page."""

MAX_DELETED = 4096
"""Deleted slices whose last resourceVersion is kept between two lists, against late events."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Times in seconds; tests use shorter ones."""

    relist_seconds: float = 300.0
    """Between two full lists, plus or minus a fifth."""
    watch_seconds: float = 300.0
    """The time after which the server is asked to end a watch, plus or minus a fifth."""
    shortest_backoff: float = 0.1
    longest_backoff: float = 10.0
    longest_retry_after: float = 60.0
    """The longest wait that a server may request."""


@dataclass(slots=True)
class Counters:
    """Counters for metrics."""

    lists: int = 0
    list_failures: int = 0
    watches: int = 0
    watch_failures: int = 0
    expired: int = 0
    """Responses with status 410, and such events of a watch."""
    stale_found: int = 0
    """Lists that contradicted a watch that had reported no error."""
    listed_at: float = -math.inf
    """Time at which the last full list was completed."""


@dataclass(slots=True)
class _Listing:
    request: int
    slices: dict[str, Slice] = field(default_factory=dict)
    resource_version: str = ""
    pages: int = 0
    touched: set[str] = field(default_factory=set)
    """Slices that the watch has reported since the list began.
    For these the watch is newer than the list."""


class SliceWatch:
    """The list-and-watch machine. It receives events with the time, returns actions,
    and needs a Tick at `deadline`."""

    def __init__(
        self, table: SliceTable, draw: Callable[[], float], timings: Timings | None = None
    ) -> None:
        """`draw` returns random numbers from 0 to 1."""
        self.counters = Counters()
        self._table = table
        self._draw = draw
        self._timings = timings or Timings()
        self._last_request = 0
        self._listing: _Listing | None = None
        self._list_at = -math.inf
        self._list_failures = 0
        self._is_paged = True
        self._watch = 0
        """Request number of the open watch; 0: there is none."""
        self._watch_at = -math.inf
        self._watch_failures = 0
        self._opened_at = math.inf
        self._resource_version = ""
        """The resourceVersion to watch from; empty: list first."""
        self._deleted: dict[str, str] = {}
        self._problem: CallFailure | None = None

    @property
    def deadline(self) -> float:
        list_at = math.inf if self._listing else self._list_at
        watch_at = math.inf if self._watch or not self._resource_version else self._watch_at
        may_clear = self._watch and self._problem and not self._list_failures
        proven_at = self._opened_at + PROVEN_SECONDS if may_clear else math.inf
        return min(list_at, watch_at, proven_at)

    @property
    def is_watching(self) -> bool:
        return self._watch != 0 and self._opened_at < math.inf

    def handle(self, event: Event, now: float) -> list[Action]:
        match event:
            case PageListed(request, page):
                listing = self._listing
                if listing is None or listing.request != request:
                    return []
                return self._take_page(listing, page, now)
            case ListFailed(request, failure):
                if self._listing is None or self._listing.request != request:
                    return []
                return self._list_failed(failure, now)
            case Tick():
                return self._start_due(now)
            case WatchOpened() | LineReceived() | WatchEnded():
                return self._handle_watch(event, now) if event.request == self._watch else []

    def _handle_watch(
        self, event: WatchOpened | LineReceived | WatchEnded, now: float
    ) -> list[Action]:
        match event:
            case WatchOpened():
                self._opened_at = now
                return []
            case LineReceived(_, line):
                return self._take_line(line, now)
            case WatchEnded(_, failure):
                return self._watch_ended(failure, now)

    # --- requests

    def _next_request(self) -> int:
        self._last_request += 1
        return self._last_request

    def _start_due(self, now: float) -> list[Action]:
        actions = self._clear_problem(now)
        if self._listing is None and now >= self._list_at:
            self._listing = _Listing(self._next_request())
            actions.append(ListSlices(self._listing.request, "", self._is_paged))
        if self._resource_version and not self._watch and now >= self._watch_at:
            actions.append(self._open_watch())
        return actions

    def _open_watch(self) -> WatchSlices:
        self._watch = self._next_request()
        self._opened_at = math.inf
        self.counters.watches += 1
        seconds = max(1, round(self._jitter(self._timings.watch_seconds)))
        return WatchSlices(self._watch, self._resource_version, seconds)

    def _close_watch(self) -> list[Action]:
        if not self._watch:
            return []
        closed, self._watch = self._watch, 0
        return [CloseWatch(closed)]

    def _jitter(self, seconds: float) -> float:
        return seconds * (0.8 + 0.4 * self._draw())

    def _backoff(self, failures: int, retry_after: float) -> float:
        timings = self._timings
        bound = min(timings.longest_backoff, timings.shortest_backoff * 2.0 ** min(failures, 30))
        # Half of it is random, so that nodes that lost the same server do not all reconnect at the same
        # time.
        return max(
            bound * (0.5 + 0.5 * self._draw()), min(retry_after, timings.longest_retry_after)
        )

    # --- lists

    def _take_page(self, listing: _Listing, page: SlicePage, now: float) -> list[Action]:
        listing.slices.update((new.name, new) for new in page.slices)
        # The version of the first page: a watch from there repeats changes during the list.
        listing.resource_version = listing.resource_version or page.resource_version
        listing.pages += 1
        if listing.pages > MAX_PAGES:
            return self._list_failed(
                CallFailure(0, f"the list has more than {MAX_PAGES} pages"), now
            )
        if page.next_token:
            return [ListSlices(listing.request, page.next_token, self._is_paged)]
        self._listing = None
        self._is_paged = True
        self._list_failures = 0
        self._list_at = now + self._jitter(self._timings.relist_seconds)
        self.counters.lists += 1
        self.counters.listed_at = now
        return self._compare(listing, now)

    def _compare(self, listing: _Listing, now: float) -> list[Action]:
        """Keeps the watch if the list agrees with it; otherwise adopts the list and watches from there."""
        known, listed = self._table.slices, listing.slices
        if self.is_watching:
            names = (known.keys() | listed.keys()) - listing.touched
            if all(known.get(name) == listed.get(name) for name in names):
                return self._clear_problem(now)
            self.counters.stale_found += 1
        actions = self._close_watch()
        self._deleted.clear()
        self._resource_version = listing.resource_version
        changed = self._table.replace(listed)
        # If a retry is due later, because the server asked for it or the watch keeps failing, wait for it.
        if now >= self._watch_at:
            actions.append(self._open_watch())
        return [*actions, changed]

    def _list_failed(self, failure: CallFailure, now: float) -> list[Action]:
        was_paged = self._is_paged
        self._listing = None
        self._list_failures += 1
        self.counters.list_failures += 1
        if failure.status == GONE:
            self.counters.expired += 1
            self._is_paged = False
            if was_paged:
                self._list_at = now
                return self._start_due(now)
        self._list_at = now + self._backoff(self._list_failures - 1, failure.retry_after)
        return self._report(failure, self._list_failures)

    # --- watches

    def _take_line(self, line: WatchLine, now: float) -> list[Action]:
        if line.kind is LineKind.ERROR:
            closed = self._close_watch()
            return closed + self._watch_failed(CallFailure(line.status, line.reason), now)
        if _is_newer(line.resource_version, self._resource_version):
            self._resource_version = line.resource_version
        found = line.slice
        if found is None or not self._is_news(found):
            return []
        if self._listing is not None:
            self._listing.touched.add(found.name)
        if line.kind is LineKind.PUT:
            self._deleted.pop(found.name, None)
            return [self._table.put(found)]
        self._remember_deleted(found)
        return [self._table.remove(found.name)]

    def _is_news(self, found: Slice) -> bool:
        """Whether the slice is newer than the known state of it."""
        known = self._table.slices.get(found.name)
        last = known.resource_version if known else self._deleted.get(found.name, "")
        return _is_newer(found.resource_version, last)

    def _remember_deleted(self, found: Slice) -> None:
        if len(self._deleted) >= MAX_DELETED:
            self._deleted.pop(next(iter(self._deleted)))
        self._deleted[found.name] = found.resource_version

    def _watch_ended(self, failure: CallFailure | None, now: float) -> list[Action]:
        self._watch = 0
        if failure is not None and failure.status:
            return self._watch_failed(failure, now)
        if not self._is_proven(now):
            # The watch never opened, or ended immediately: do not retry in a loop.
            return self._watch_failed(
                failure or CallFailure(0, "the server ends each watch immediately"), now
            )
        self._watch_failures = 0
        self._watch_at = now
        if failure is not None:
            # The watch may have delivered no events for an unknown time.
            self._list_at = min(self._list_at, now)
        return self._start_due(now)

    def _watch_failed(self, failure: CallFailure, now: float) -> list[Action]:
        self._watch_failures = 1 if self._is_proven(now) else self._watch_failures + 1
        self.counters.watch_failures += 1
        is_expired = failure.status == GONE
        self.counters.expired += is_expired
        wait = self._backoff(self._watch_failures - 1, failure.retry_after)
        if is_expired and self._watch_failures == 1:
            wait = 0.0
        self._watch_at = now + wait
        if is_expired or self._watch_failures >= 2:
            # The server does not know this resourceVersion, or the error was transient.
            self._resource_version = ""
            self._list_at = min(self._list_at, now + wait)
        return [*self._report(failure, self._watch_failures), *self._start_due(now)]

    # --- problems

    def _report(self, failure: CallFailure, times: int) -> list[Action]:
        """Reports a repeated failure, and at once one that only an operator can fix, or before the first list."""
        is_known = self.counters.listed_at > -math.inf
        if times < 3 and is_known and failure.status not in NEEDS_OPERATOR:
            return []
        return self._set_problem(failure)

    def _is_proven(self, now: float) -> bool:
        # Compared as in `deadline`: the difference of the two times may be rounded down.
        return now >= self._opened_at + PROVEN_SECONDS

    def _clear_problem(self, now: float) -> list[Action]:
        if self._watch and self._is_proven(now):
            self._watch_failures = 0
            if not self._list_failures:
                return self._set_problem(None)
        return []

    def _set_problem(self, failure: CallFailure | None) -> list[Action]:
        if failure == self._problem:
            return []
        self._problem = failure
        return [ProblemChanged(failure)]


def _is_newer(version: str, than: str) -> bool:
    """Whether a resourceVersion is later. If they are no numbers, the order of arrival decides."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
