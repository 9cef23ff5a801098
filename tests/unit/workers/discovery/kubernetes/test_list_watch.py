"""The list-and-watch machine, in virtual time, against a server that is a few dictionaries."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from peatnode.ipc.messages import Address
from workers.discovery.kubernetes.list_watch import PROVEN_SECONDS, SliceWatch, Timings
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
from workers.discovery.kubernetes.slice_table import Naming, SliceTable
from workers.discovery.kubernetes.slices import LineKind, Slice, SliceEndpoint, SlicePage, WatchLine
from workers.discovery.sighting import Sighting, SightingsChanged


def make_slice(name: str, version: int, *pods: str) -> Slice:
    return Slice(
        name,
        str(version),
        tuple(SliceEndpoint(p, "mesh", (Address("10.0.0.1", 1),), True, False) for p in pods),
    )


def put(name: str, version: int, *pods: str) -> WatchLine:
    return WatchLine(LineKind.PUT, str(version), make_slice(name, version, *pods))


def gone(name: str, version: int) -> WatchLine:
    return WatchLine(LineKind.DELETED, str(version), make_slice(name, version))


class Bench:
    """The machine with a clock, and what it last wanted."""

    def __init__(
        self, timings: Timings | None = None, draw: Callable[[], float] = lambda: 0.5
    ) -> None:
        self.table = SliceTable(Naming("", "me", "mesh"))
        self.machine = SliceWatch(self.table, draw, timings)
        self.now = 0.0
        self.trouble: CallFailure | None = None

    def handle(self, event: Event) -> list[Action]:
        actions = self.machine.handle(event, self.now)
        for action in actions:
            if isinstance(action, ProblemChanged):
                self.trouble = action.failure
        return actions

    def tick(self) -> list[Action]:
        """At the deadline."""
        assert self.machine.deadline < math.inf
        self.now = max(self.now, self.machine.deadline)
        return self.handle(Tick())

    def list(self, *slices: Slice, version: int = 10) -> list[Action]:
        """Starts, and answers the first list."""
        (request,) = of(ListSlices, self.tick())
        return self.handle(PageListed(request.request, SlicePage(slices, str(version), "")))

    def watch(self, *slices: Slice, version: int = 10) -> int:
        (action,) = of(WatchSlices, self.list(*slices, version=version))
        self.handle(WatchOpened(action.request))
        return action.request

    @property
    def pods(self) -> set[str]:
        return {sighting.node_id for sighting in self.table.sightings.values()}


def of(kind: type, actions: list[Action]) -> list:  # type: ignore[type-arg]
    return [action for action in actions if isinstance(action, kind)]


def test_first_a_list_then_a_watch_from_there() -> None:
    bench = Bench()
    (request,) = bench.tick()
    assert request == ListSlices(1, "", is_paged=True)
    (more,) = bench.handle(PageListed(1, SlicePage((make_slice("a", 5, "p"),), "10", "token")))
    assert more == ListSlices(1, "token", is_paged=True)
    actions = bench.handle(PageListed(1, SlicePage((make_slice("b", 6, "q"),), "12", "")))
    assert of(WatchSlices, actions) == [WatchSlices(2, "10", 300)]
    (changed,) = of(SightingsChanged, actions)
    assert {s.node_id for s in changed.found} == bench.pods == {"p", "q"}
    assert not bench.machine.is_watching
    bench.handle(WatchOpened(2))
    assert bench.machine.is_watching


def test_a_watch_that_ended_goes_on_where_it_was() -> None:
    bench = Bench()
    watch = bench.watch()
    bench.handle(LineReceived(watch, put("a", 11, "p")))
    bench.handle(LineReceived(watch, WatchLine(LineKind.BOOKMARK, "40")))
    bench.now += 60
    (action,) = of(WatchSlices, bench.handle(WatchEnded(watch, None)))
    assert action.resource_version == "40"
    assert bench.pods == {"p"}


def test_a_watch_that_fell_silent_is_opened_anew_and_everything_listed() -> None:
    bench = Bench()
    watch = bench.watch()
    bench.now += 60
    actions = bench.handle(WatchEnded(watch, CallFailure(0, "nothing came")))
    assert len(of(WatchSlices, actions)) == len(of(ListSlices, actions)) == 1
    assert bench.trouble is None


@pytest.mark.parametrize("as_event", [True, False])
def test_410_lists_again_at_once_and_keeps_what_is_known(as_event: bool) -> None:
    bench = Bench()
    watch = bench.watch(make_slice("a", 5, "p"))
    bench.now += 60
    if as_event:
        actions = bench.handle(LineReceived(watch, WatchLine(LineKind.ERROR, "", None, 410, "old")))
        assert CloseWatch(watch) in actions
    else:
        actions = bench.handle(WatchEnded(watch, CallFailure(410, "old")))
    assert len(of(ListSlices, actions)) == 1
    assert bench.pods == {"p"}
    assert bench.machine.counters.expired == 1


def test_410_again_and_again_is_not_answered_in_a_loop() -> None:
    bench = Bench()
    (action,) = of(WatchSlices, bench.list())
    times = []
    for _ in range(6):
        bench.handle(WatchEnded(action.request, CallFailure(410, "old")))
        while True:
            actions = bench.tick() if not bench.machine._listing else []
            lists = of(ListSlices, actions) or [
                ListSlices(bench.machine._listing.request, "", True)
            ]  # type: ignore[union-attr]
            times.append(bench.now)
            watches = of(
                WatchSlices, bench.handle(PageListed(lists[0].request, SlicePage((), "10", "")))
            ) or of(WatchSlices, bench.tick())
            if watches:
                action = watches[0]
                break
    assert times[-1] - times[0] > 2


def test_a_second_failure_in_a_row_lists_again() -> None:
    bench = Bench()
    watch = bench.watch()
    bench.handle(WatchEnded(watch, CallFailure(500, "x")))
    (second,) = of(WatchSlices, bench.tick())
    assert second.resource_version == "10"
    bench.handle(WatchEnded(second.request, CallFailure(500, "x")))
    assert len(of(ListSlices, bench.tick())) == 1


def test_failures_wait_ever_longer_and_what_the_server_asks() -> None:
    bench = Bench(draw=lambda: 1.0)
    pauses = []
    for _ in range(10):
        (request,) = of(ListSlices, bench.tick())
        bench.handle(ListFailed(request.request, CallFailure(503, "x")))
        pauses.append(bench.machine.deadline - bench.now)
    assert pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert pauses[-1] == 10
    (request,) = of(ListSlices, bench.tick())
    bench.handle(ListFailed(request.request, CallFailure(429, "x", retry_after=30)))
    assert bench.machine.deadline - bench.now == pytest.approx(30)
    (request,) = of(ListSlices, bench.tick())
    bench.handle(ListFailed(request.request, CallFailure(429, "x", retry_after=1e6)))
    assert bench.machine.deadline - bench.now == pytest.approx(60)


def test_trouble_is_said_once_and_is_over_when_a_watch_has_lived_a_while() -> None:
    bench = Bench()
    (request,) = bench.tick()
    actions = bench.handle(ListFailed(request.request, CallFailure(403, "no")))  # type: ignore[union-attr]
    assert of(ProblemChanged, actions) == [ProblemChanged(CallFailure(403, "no"))]
    (request,) = of(ListSlices, bench.tick())
    assert not of(ProblemChanged, bench.handle(ListFailed(request.request, CallFailure(403, "no"))))
    bench.watch()
    assert bench.trouble is not None
    bench.now += PROVEN_SECONDS
    assert bench.handle(Tick()) == [ProblemChanged(None)]
    assert bench.machine.deadline > bench.now


def test_a_server_that_is_away_at_the_start_is_said_at_once_and_later_when_it_lasts() -> None:
    away = CallFailure(0, "10.0.0.1:443 cannot be reached")
    bench = Bench()
    (request,) = of(ListSlices, bench.tick())
    assert of(ProblemChanged, bench.handle(ListFailed(request.request, away)))
    bench = Bench()
    bench.watch()
    bench.now += PROVEN_SECONDS + bench.machine.deadline
    (request,) = of(ListSlices, bench.handle(Tick()))
    for is_said in (False, False, True):
        said = of(ProblemChanged, bench.handle(ListFailed(request.request, away)))
        assert bool(said) == is_said
        (request,) = of(ListSlices, bench.tick())


def test_a_forgotten_place_in_a_list_starts_it_again_in_one_piece() -> None:
    bench = Bench()
    bench.tick()
    bench.handle(PageListed(1, SlicePage((), "10", "token")))
    (again,) = of(ListSlices, bench.handle(ListFailed(1, CallFailure(410, "too old"))))
    assert again == ListSlices(2, "", is_paged=False)
    assert bench.handle(PageListed(1, SlicePage((make_slice("late", 1, "x"),), "10", ""))) == []
    bench.handle(PageListed(2, SlicePage((make_slice("a", 5, "p"),), "10", "")))
    assert bench.pods == {"p"}


def test_a_list_without_an_end_is_given_up() -> None:
    bench = Bench()
    bench.tick()
    for _ in range(2000):
        actions = bench.handle(PageListed(1, SlicePage((), "10", "more")))
        if not actions:
            break
    assert bench.machine.counters.list_failures == 1


def test_doubles_and_late_events_change_nothing() -> None:
    bench = Bench()
    watch = bench.watch(make_slice("a", 5, "p"))
    bench.handle(LineReceived(watch, put("a", 12, "p", "q")))
    assert bench.handle(LineReceived(watch, put("a", 12, "p", "q"))) == []
    assert bench.handle(LineReceived(watch, put("a", 11, "p", "r"))) == []
    bench.handle(LineReceived(watch, gone("a", 14)))
    assert bench.handle(LineReceived(watch, put("a", 13, "p"))) == []
    assert bench.pods == set()
    bench.handle(LineReceived(watch, put("a", 15, "z")))
    assert bench.handle(LineReceived(watch, gone("a", 14))) == []
    assert bench.pods == {"z"}


def test_a_relist_that_agrees_leaves_the_watch_alone() -> None:
    bench = Bench()
    watch = bench.watch(make_slice("a", 5, "p"))
    (request,) = of(ListSlices, bench.tick())
    assert 240 <= bench.now <= 360
    bench.handle(LineReceived(watch, put("b", 30, "q")))
    # The list was made before the event came: of that name the watch knows better.
    same = (make_slice("a", 5, "p"),)
    assert bench.handle(PageListed(request.request, SlicePage(same, "20", ""))) == []
    assert bench.pods == {"p", "q"}
    assert bench.machine.counters.stale_found == 0
    assert bench.machine.counters.listed_at == bench.now


def test_a_relist_that_contradicts_replaces_all_and_watches_from_there() -> None:
    bench = Bench()
    watch = bench.watch(make_slice("a", 5, "p"))
    (request,) = of(ListSlices, bench.tick())
    new = (make_slice("b", 40, "q"),)
    actions = bench.handle(PageListed(request.request, SlicePage(new, "50", "")))
    assert CloseWatch(watch) in actions
    assert of(WatchSlices, actions)[0].resource_version == "50"
    assert bench.pods == {"q"}
    assert bench.machine.counters.stale_found == 1
    assert bench.handle(LineReceived(watch, put("z", 99, "z"))) == []


def test_a_server_restored_from_a_backup_counts_from_lower_again() -> None:
    bench = Bench()
    watch = bench.watch(make_slice("a", 900, "p"), version=1000)
    bench.now += 60
    bench.handle(WatchEnded(watch, CallFailure(504, "Too large resource version")))
    (second,) = of(WatchSlices, bench.tick())
    bench.handle(WatchEnded(second.request, CallFailure(504, "Too large resource version")))
    (request,) = of(ListSlices, bench.tick())
    old = (make_slice("a", 90, "p", "q"),)
    actions = bench.handle(PageListed(request.request, SlicePage(old, "100", "")))
    (third,) = of(WatchSlices, actions) or of(WatchSlices, bench.tick())
    assert third.resource_version == "100"
    bench.handle(WatchOpened(third.request))
    bench.handle(LineReceived(third.request, put("a", 101, "q")))
    assert bench.pods == {"q"}


# --- the same in a storm ---------------------------------------------------------------------------------------


@dataclass
class Storm:
    """A server and a network in virtual time: answers come late, broken, twice, in the wrong order or not at all."""

    rng: random.Random
    is_bad: bool = True
    now: float = 0.0
    version: int = 100
    oldest: int = 100
    slices: dict[str, Slice] = field(default_factory=dict)
    history: list[tuple[int, WatchLine]] = field(default_factory=list)
    queue: list[tuple[float, int, Event]] = field(default_factory=list)
    watches: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """Where each open watch is, and whether it has gone deaf."""
    order: int = 0

    def mutate(self) -> None:
        self.version += 1
        name = f"s{self.rng.randrange(6)}"
        if name in self.slices and self.rng.random() < 0.3:
            del self.slices[name]
            self.history.append((self.version, gone(name, self.version)))
        else:
            pods = self.rng.sample("abcdefgh", self.rng.randrange(4))
            self.slices[name] = make_slice(name, self.version, *pods)
            self.history.append((self.version, put(name, self.version, *pods)))
        if self.is_bad and self.rng.random() < 0.05:
            self.oldest = self.version
        if self.is_bad and self.rng.random() < 0.02:
            self.restore_backup()

    def restore_backup(self) -> None:
        """As after a restore of etcd: numbers start lower, watches are cut."""
        self.version = self.oldest = self.version // 2
        self.history.clear()
        renumbered = {
            n: replace(s, resource_version=str(self.version)) for n, s in self.slices.items()
        }
        self.slices = renumbered
        for request in list(self.watches):
            self.end(request, CallFailure(0, "restarted"))

    def later(self, event: Event, least: float = 0.001, most: float = 0.05) -> None:
        self.order += 1
        heapq.heappush(self.queue, (self.now + self.rng.uniform(least, most), self.order, event))

    def end(self, request: int, failure: CallFailure | None) -> None:
        if self.watches.pop(request, None) is not None:
            self.later(WatchEnded(request, failure))

    def carry_out(self, action: Action) -> None:
        match action:
            case ListSlices(request, token, _):
                bad = self.is_bad and self.rng.random()
                if bad and bad < 0.3:
                    status = self.rng.choice([0, 403, 410, 429, 500])
                    self.later(
                        ListFailed(request, CallFailure(status, "x", self.rng.choice([0, 2])))
                    )
                elif not token and len(self.slices) > 2:
                    first = tuple(self.slices.values())[:2]
                    self.pages = tuple(self.slices.values())[2:], str(self.version)
                    self.later(PageListed(request, SlicePage(first, str(self.version), "t")))
                elif token:
                    self.later(PageListed(request, SlicePage(*self.pages, "")))
                else:
                    whole = tuple(self.slices.values())
                    self.later(PageListed(request, SlicePage(whole, str(self.version), "")))
            case WatchSlices(request, version, _):
                bad = self.is_bad and self.rng.random()
                if bad and bad < 0.3:
                    status = self.rng.choice([0, 403, 410, 429, 500])
                    self.later(WatchEnded(request, CallFailure(status, "x")))
                elif not self.oldest <= int(version) <= self.version:
                    status = 410 if int(version) < self.oldest else 504
                    self.later(WatchEnded(request, CallFailure(status, "x")))
                else:
                    self.later(WatchOpened(request), 0.0, 0.0)
                    is_deaf = self.is_bad and self.rng.random() < 0.1
                    self.watches[request] = (int(version), is_deaf)
            case CloseWatch(request):
                self.watches.pop(request, None)
            case SightingsChanged() | ProblemChanged():
                pass

    def stream(self) -> None:
        """Sends on each watch what has happened since."""
        for request, (place, is_deaf) in list(self.watches.items()):
            lines = [line for version, line in self.history if version > place]
            self.watches[request] = (self.version, is_deaf)
            if is_deaf:
                continue
            delay = 0.001
            for line in lines:
                if self.is_bad and self.rng.random() < 0.1:
                    continue
                wrong = self.is_bad and self.rng.random() < 0.1
                for _ in range(2 if self.is_bad and self.rng.random() < 0.1 else 1):
                    self.later(LineReceived(request, line), delay, delay + (0.1 if wrong else 0))
                delay += 0.0001
            if self.is_bad and self.rng.random() < 0.05:
                self.end(request, self.rng.choice([None, CallFailure(0, "cut")]))

    @property
    def pods(self) -> set[str]:
        return {e.name for s in self.slices.values() for e in s.endpoints}


@pytest.mark.parametrize("number", range(60))
def test_after_the_storm_what_is_known_is_true(number: int, rng: random.Random) -> None:
    storm = Storm(rng)
    timings = Timings(relist_seconds=20, watch_seconds=20)
    bench = Bench(timings, rng.random)
    followed: dict[str, Sighting] = {}
    next_change, steps = 0.0, 0

    def run(until: float) -> None:
        nonlocal next_change, steps
        while bench.now < until:
            steps += 1
            assert steps < 20_000, "it goes in circles"
            times = [until, bench.machine.deadline, next_change]
            if storm.queue:
                times.append(storm.queue[0][0])
            bench.now = storm.now = max(bench.now, min(times))
            actions: list[Action] = []
            if storm.queue and storm.queue[0][0] <= bench.now:
                event = heapq.heappop(storm.queue)[2]
                actions += bench.handle(event)
            elif bench.machine.deadline <= bench.now:
                actions += bench.handle(Tick())
            elif next_change <= bench.now:
                if storm.is_bad:
                    storm.mutate()
                storm.stream()
                next_change = bench.now + rng.uniform(0.01, 0.5)
            for action in actions:
                storm.carry_out(action)
                if isinstance(action, SightingsChanged):
                    followed.update((s.key, s) for s in action.found)
                    for key in action.lost:
                        del followed[key]

    run(60.0)
    storm.is_bad = False
    for request, (_, is_deaf) in list(storm.watches.items()):
        if is_deaf:
            storm.end(request, CallFailure(0, "nothing came"))
    run(bench.now + timings.relist_seconds * 1.2 + timings.longest_backoff + 1)
    assert bench.pods == storm.pods
    assert followed == bench.table.sightings
    assert bench.trouble is None
    assert bench.machine.is_watching
