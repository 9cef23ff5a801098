"""The policy, with a clock of the test: its actions for each event."""

import random
from collections import deque
from collections.abc import Iterator

import pytest

from peatnode.supervision.events import (
    Action,
    AnnounceDeath,
    AnnounceReady,
    AnnounceRecycling,
    AnnounceStop,
    DeadlinePassed,
    EndNode,
    Event,
    KillWorker,
    NodeStarted,
    PingWorker,
    PongReceived,
    RecycleRequested,
    RequestStop,
    StartWorker,
    StopRequested,
    WorkerExited,
    WorkerServing,
    WorkerStarted,
)
from peatnode.supervision.policy import Policy, RestartLimits, describe_exit
from peatnode.supervision.workers import WORKERS

TURNS = {spec.name: spec.turn for spec in WORKERS}


class Node:
    """A policy, and workers that obey it: they start, answer and stop at once unless the test sets otherwise."""

    def __init__(self, limits: RestartLimits | None = None) -> None:
        self.policy = Policy(TURNS, limits or RestartLimits())
        self.now = 100.0
        self.log: list[tuple[float, Action]] = []
        self.hung: set[str] = set()
        """Neither answers nor stops."""
        self.busy: set[str] = set()
        """Its thread answers, and its event loop does not turn."""
        self.turned: dict[str, int] = {}
        self.dies_at_start: set[str] = set()
        self.is_slow_to_serve: set[str] = set()
        self.last_pid = 1000

    def say(self, event: Event) -> None:
        """All actions are carried out before the events that they cause, as by the supervisor."""
        events = deque([event])
        exited: set[str] = set()
        while events:
            event = events.popleft()
            if isinstance(event, WorkerStarted):
                exited.discard(event.name)
            elif isinstance(event, WorkerExited):
                if event.name in exited:  # ordered to stop, and killed: it exits once
                    continue
                exited.add(event.name)
            for action in self.policy.handle(event, self.now):
                self.log.append((self.now, action))
                events.extend(self.react(action))

    def react(self, action: Action) -> Iterator[Event]:
        match action:
            case StartWorker(name):
                self.last_pid += 1
                yield WorkerStarted(name, self.last_pid)
                if name in self.dies_at_start:
                    yield WorkerExited(name, 1, "")
                elif name not in self.is_slow_to_serve:
                    yield WorkerServing(name)
            case PingWorker(name, number) if name not in self.hung:
                if name not in self.busy:
                    self.turned[name] = number
                yield PongReceived(name, number, self.turned.get(name, 0))
            case RequestStop(name) if name not in self.hung:
                yield WorkerExited(name, 0, "")
            case KillWorker(name):
                yield WorkerExited(name, -9, "")
            case _:
                pass

    def wait_until(self, end: float) -> None:
        while (due := self.policy.deadline()) is not None and due <= end:
            assert due >= self.now - 1e-9, "a deadline that never goes by"
            self.now = max(due, self.now)
            self.say(DeadlinePassed())
        self.now = end

    def wait(self, seconds: float) -> None:
        self.wait_until(self.now + seconds)

    def of(self, kind: type) -> list[Action]:
        return [action for _, action in self.log if isinstance(action, kind)]

    def names(self, kind: type) -> list[str]:
        return [action.name for action in self.of(kind)]

    def forget(self) -> None:
        self.log.clear()


@pytest.fixture
def node() -> Node:
    node = Node()
    node.say(NodeStarted())
    return node


def test_all_start_and_the_node_is_announced_once(node: Node) -> None:
    assert node.names(StartWorker) == list(TURNS)
    assert node.of(AnnounceReady) == [AnnounceReady()]
    assert {worker.state for worker in node.policy.workers.values()} == {"ready"}


def test_the_node_is_not_announced_before_the_last_worker_serves() -> None:
    node = Node()
    node.is_slow_to_serve = {"engine"}
    node.say(NodeStarted())
    assert not node.of(AnnounceReady)
    assert node.policy.workers["engine"].state == "starting"
    node.say(WorkerServing("engine"))
    assert node.of(AnnounceReady)


def test_a_worker_that_dies_comes_back_after_a_moment(node: Node) -> None:
    node.forget()
    node.say(WorkerExited("store", -9, ""))
    assert node.of(AnnounceDeath) == [AnnounceDeath("store", "killed by SIGKILL", 0.1)]
    assert node.policy.workers["store"].state == "waiting"
    assert not node.of(StartWorker)
    node.wait(0.1)
    worker = node.policy.workers["store"]
    assert node.names(StartWorker) == ["store"]
    assert (worker.state, worker.restarts, worker.last_exit) == ("ready", 1, "killed by SIGKILL")
    assert not node.of(AnnounceReady), "the node has been announced before"


def test_an_uninvited_exit_with_0_is_a_death_too(node: Node) -> None:
    node.say(WorkerExited("sync", 0, ""))
    assert node.of(AnnounceDeath) == [AnnounceDeath("sync", "exited with status 0", 0.1)]


def test_the_delay_doubles_up_to_its_limit_for_one_that_dies_again_and_again(node: Node) -> None:
    for _ in range(9):
        node.wait(15.0)  # four deaths a minute: not too many
        node.say(WorkerExited("engine", 1, ""))
    delays = [action.seconds for action in node.of(AnnounceDeath)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert not node.of(EndNode)


def test_a_stable_time_forgives(node: Node) -> None:
    for _ in range(3):
        node.say(WorkerExited("engine", 1, ""))
        node.wait(1.0)
    node.wait(60.0)
    node.say(WorkerExited("engine", 1, ""))
    assert node.of(AnnounceDeath)[-1] == AnnounceDeath("engine", "exited with status 1", 0.1)


def test_the_sixth_death_in_a_minute_ends_the_node() -> None:
    node = Node()
    node.dies_at_start = {"engine"}
    node.say(NodeStarted())
    node.wait(60.0)
    assert len(node.of(AnnounceDeath)) == 5
    (end,) = node.of(EndNode)
    assert isinstance(end, EndNode)
    assert end.status == 1
    assert "engine" in end.reason
    assert "6 times" in end.reason
    assert not [worker for worker in node.policy.workers.values() if worker.is_alive]
    assert node.policy.deadline() is None


def test_deaths_of_different_workers_are_not_added_up(node: Node) -> None:
    for name in ["store", "engine", "sync"] * 5:
        node.say(WorkerExited(name, 1, ""))
        node.wait(3.0)
    assert not node.of(EndNode)


def test_a_configuration_that_cannot_be_ends_the_node_at_once(node: Node) -> None:
    node.forget()
    node.say(WorkerExited("store", 78, "PEAT_DATA_DIR is of a newer version."))
    assert node.of(EndNode) == [EndNode(78, "PEAT_DATA_DIR is of a newer version.")]
    assert not node.of(AnnounceDeath)
    assert sorted(node.names(RequestStop)) == ["broker", "discovery", "engine", "sync"]


def test_no_answer_is_death(node: Node) -> None:
    node.wait(5.0)
    node.hung = {"sync"}
    node.forget()
    node.wait(15.0)  # asked after 5, given up 10 after that
    assert node.names(KillWorker) == ["sync"]
    node.hung.clear()
    node.wait(1.0)
    assert node.policy.workers["sync"].state == "ready"
    assert node.policy.workers["sync"].last_exit == "killed by SIGKILL"


def test_a_starting_worker_has_longer_to_answer() -> None:
    node = Node()
    node.hung = node.is_slow_to_serve = {"store"}
    node.say(NodeStarted())
    node.wait(59.0)
    assert not node.of(KillWorker)
    node.wait(1.0)
    assert node.names(KillWorker) == ["store"]


def test_one_that_served_before_it_answered_is_given_time_to_answer() -> None:
    node = Node()
    node.hung = node.is_slow_to_serve = {"store"}
    node.say(NodeStarted())
    node.wait(30.0)
    node.say(WorkerServing("store"))
    node.wait(9.0)
    assert not node.of(KillWorker)
    node.wait(1.0)
    assert node.names(KillWorker) == ["store"]


def test_a_loop_that_works_for_long_is_no_dead_worker(node: Node) -> None:
    for _ in range(5):
        node.busy = {"store"}
        node.wait(29.0)
        node.busy = set()
        node.wait(5.0)
    assert not node.of(KillWorker)


def test_a_loop_that_never_turns_is_killed_although_a_thread_answers(node: Node) -> None:
    node.busy = {"store"}
    node.wait(30.0)
    assert not node.of(KillWorker)
    node.wait(10.0)
    assert node.names(KillWorker) == ["store"]
    node.busy = set()
    node.wait(100.0)
    assert node.names(KillWorker) == ["store"]


def test_a_loop_that_never_turns_while_it_starts_has_more_time() -> None:
    node = Node()
    node.busy = node.is_slow_to_serve = {"store"}
    node.say(NodeStarted())
    node.wait(60.0)
    assert not node.of(KillWorker)
    node.wait(10.0)
    assert node.names(KillWorker) == ["store"]


def test_an_old_answer_counts_for_nothing(node: Node) -> None:
    node.hung = {"sync"}
    node.wait(5.0)
    node.say(PongReceived("sync", 1, 1))
    node.wait(10.0)
    assert node.names(KillWorker) == ["sync"]


def test_all_are_pinged_at_one_moment_and_the_node_sleeps_in_between(node: Node) -> None:
    node.forget()
    node.wait(60.0)
    moments = {now for now, _ in node.log}
    assert len(moments) == 12
    assert len(node.of(PingWorker)) == 12 * len(TURNS)


def test_a_supervisor_that_was_held_up_itself_blames_nobody(node: Node) -> None:
    node.hung = set(TURNS)
    node.wait(5.0)
    node.forget()
    node.now += 3600.0  # Ctrl-Z, a paused machine
    node.say(DeadlinePassed())
    assert not node.of(KillWorker)
    node.hung.clear()
    for name, worker in node.policy.workers.items():
        node.say(PongReceived(name, worker.ping, worker.ping))
    node.wait(60.0)
    assert not node.of(KillWorker)


def test_being_replaced_is_no_death(node: Node) -> None:
    node.forget()
    node.say(RecycleRequested("engine", "300 MB"))
    assert node.of(AnnounceRecycling) == [AnnounceRecycling("engine", "300 MB")]
    assert node.names(RequestStop) == ["engine"]
    assert node.names(StartWorker) == ["engine"]
    worker = node.policy.workers["engine"]
    assert (worker.recycles, worker.restarts, worker.streak) == (1, 0, 0)


def test_one_that_asks_to_be_replaced_and_does_not_leave_is_killed(node: Node) -> None:
    node.hung = {"engine"}
    node.say(RecycleRequested("engine", "300 MB"))
    node.say(RecycleRequested("engine", "301 MB"))
    assert len(node.of(RequestStop)) == 1
    node.wait(5.2)
    assert node.names(KillWorker) == ["engine"]
    worker = node.policy.workers["engine"]
    assert (worker.recycles, worker.restarts) == (0, 1)


def test_the_stop_has_an_order(node: Node) -> None:
    node.forget()
    node.say(StopRequested())
    assert node.names(RequestStop) == ["broker", "sync", "store", "discovery", "engine"]
    assert node.of(EndNode) == [EndNode(0, "")]
    assert {worker.state for worker in node.policy.workers.values()} == {"stopped"}


def test_a_turn_waits_for_all_of_the_one_before(node: Node) -> None:
    node.hung = {"store", "discovery"}
    node.forget()
    node.say(StopRequested())
    assert node.names(RequestStop) == ["broker", "sync", "store", "discovery"]
    node.say(WorkerExited("discovery", 0, ""))
    assert node.names(RequestStop) == ["broker", "sync", "store", "discovery"]
    node.say(WorkerExited("store", 0, ""))
    assert node.names(RequestStop) == ["broker", "sync", "store", "discovery", "engine"]


def test_discovery_can_be_asked_until_sync_has_stopped(node: Node) -> None:
    node.hung = {"sync"}
    node.say(StopRequested())
    assert node.policy.workers["sync"].state == "stopping"
    assert node.policy.workers["discovery"].state == "ready"


def test_a_stop_that_nobody_follows_is_over_in_time(node: Node) -> None:
    node.hung = set(TURNS)
    began = node.now
    node.say(StopRequested())
    node.wait(60.0)
    ended = next(now for now, action in node.log if isinstance(action, EndNode))
    assert ended - began <= 10.0
    assert node.of(EndNode) == [EndNode(0, "")]
    assert node.names(KillWorker) == ["broker", "sync", "store", "discovery", "engine"]


def test_every_turn_has_some_time_even_after_a_slow_one(node: Node) -> None:
    node.hung = {"broker"}
    node.forget()
    node.say(StopRequested())
    node.wait(60.0)
    given = {action.name: action.seconds for action in node.of(RequestStop)}
    assert given["broker"] == pytest.approx(6.0)
    assert all(given[name] >= 1.0 for name in TURNS)


def test_a_second_signal_hurries_and_a_third_ends_it(node: Node) -> None:
    node.hung = set(TURNS)
    node.say(StopRequested())
    node.wait(0.1)
    node.forget()
    node.say(StopRequested())
    assert node.of(RequestStop) == [RequestStop("broker", 0.5)]
    began = node.now
    node.wait(1.2)
    assert node.names(KillWorker) == ["broker", "sync"]
    node.say(StopRequested())
    assert node.of(EndNode) == [EndNode(0, "")]
    assert node.now - began < 2.0


def test_deaths_during_the_stop_are_part_of_it(node: Node) -> None:
    node.hung = set(TURNS)
    node.say(StopRequested())
    node.forget()
    for name in ["engine", "store", "broker", "sync"]:
        node.say(WorkerExited(name, -11, ""))
    assert not node.of(StartWorker)
    node.say(WorkerExited("discovery", 1, ""))
    assert node.of(EndNode) == [EndNode(0, "")]


def test_a_stop_while_one_waits_to_start_does_not_start_it(node: Node) -> None:
    node.say(WorkerExited("store", 1, ""))
    node.forget()
    node.say(StopRequested())
    node.wait(60.0)
    assert not node.of(StartWorker)
    assert node.of(EndNode) == [EndNode(0, "")]


def test_a_stop_when_nobody_is_alive_ends_at_once(node: Node) -> None:
    for name in TURNS:
        node.say(WorkerExited(name, 1, ""))
    node.say(StopRequested())
    assert node.of(AnnounceStop)
    assert node.of(EndNode) == [EndNode(0, "")]


def test_a_stop_meets_one_that_is_being_replaced(node: Node) -> None:
    node.hung = {"engine"}
    node.say(RecycleRequested("engine", "300 MB"))
    node.forget()
    node.say(StopRequested())
    node.wait(60.0)
    assert "engine" in node.names(RequestStop)
    assert node.of(EndNode) == [EndNode(0, "")]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with status 0"),
        (3, "exited with status 3"),
        (-11, "killed by SIGSEGV"),
        (-63, "killed by signal 63"),
    ],
)
def test_endings_in_words(status: int, words: str) -> None:
    assert describe_exit(status) == words


@pytest.mark.parametrize("rng", range(200), indirect=True)
def test_whatever_happens_a_stop_ends_and_nothing_runs_twice(rng: random.Random) -> None:
    node = Node()
    node.say(NodeStarted())
    for _ in range(rng.randrange(40)):
        name = rng.choice(list(TURNS))
        worker = node.policy.workers[name]
        kind = rng.randrange(6)
        if kind == 0 and worker.is_alive:
            node.say(WorkerExited(name, rng.choice([0, 1, -9, -11]), ""))
        elif kind == 1 and worker.is_alive:
            node.say(RecycleRequested(name, ""))
        elif kind == 2:
            node.hung ^= {name}
        elif kind == 3:
            node.is_slow_to_serve ^= {name}
        elif kind == 4 and worker.is_alive:
            node.say(WorkerServing(name))
        else:
            node.wait(rng.uniform(0, 20))
    began = node.now
    node.say(StopRequested())
    node.wait(60.0)
    ended = [now for now, action in node.log if isinstance(action, EndNode)]
    assert len(ended) == 1
    assert ended[0] - began <= 10.0
    check_that_nothing_ran_twice(node)


def check_that_nothing_ran_twice(node: Node) -> None:
    assert not [worker for worker in node.policy.workers.values() if worker.is_alive]
    assert node.policy.deadline() is None
    last = node.log[-1][1]
    assert isinstance(last, EndNode), "nothing may follow the end"
