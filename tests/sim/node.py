"""A simulated node: the sync machine, its clocks, and a store that it reaches through a link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peatnode.ipc.feed_position import FeedPosition, FollowerState
from peatnode.model.clock import ClockReading
from peatnode.model.feed import FeedRestarted
from peatnode.model.members import AllowDeletions
from peatnode.protocol.members.membership import RETENTION_SECONDS
from peatnode.protocol.sync.events import (
    Action,
    AskStore,
    BlockOrdered,
    Close,
    ConnectionDown,
    ConnectionUp,
    DeletionsResumed,
    Event,
    FeedOpened,
    PeersExpected,
    ReplicasKnown,
    ReplicasWanted,
    Send,
    StoreAnswered,
    StoreLost,
    WakeUp,
)
from peatnode.protocol.sync.machine import SyncMachine
from tests.sim.clocks import EPOCH
from tests.sim.standin import Key

if TYPE_CHECKING:
    from tests.sim.world import Wire, World


@dataclass(frozen=True, slots=True)
class _Wait:
    """A write for which a client waits until peers have it."""

    write: Any
    damages: tuple[int, ...]
    """Of the disk of each node, before the write."""


class Node:
    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.random = world.random
        self.index = index
        self.name = f"node-{index}"
        self.clock_offset = world.random.uniform(-1e6, 1e6)
        self.clock_rate = world.random.uniform(0.97, 1.03)
        self.wall_offset = 0.0
        """How wrong the wall clock is, in seconds."""
        self.retention = RETENTION_SECONDS
        """After this time of absence it forgets a member."""
        self.is_up = False
        self.epoch = 0
        """Counts the starts and deaths of the sync process: what is scheduled for an earlier one is dropped."""
        self.wires: dict[int, Wire] = {}
        self.last_peer = 0
        self.wake_at: float | None = None
        self.started = 0
        self.instance = b""
        self.machine: SyncMachine
        self.waits: dict[int, _Wait] = {}
        self.damages = 0
        """How often its disk has lost something that was synced."""
        self._unasked: list[Callable[[], None]] = []
        """Questions that wait for the store to open."""
        self._is_telling = False
        self.store = world.make_store(index, self, world.ledger)

    # --- the host of the store

    def now(self) -> float:
        """The monotonic clock: it drifts, and never jumps."""
        return self.clock_offset + self.world.now * self.clock_rate

    def read_clock(self) -> ClockReading:
        """The wall clock, and its shift from the monotonic one, which does not stop when the machine sleeps."""
        unix = EPOCH + self.world.now + self.wall_offset
        return ClockReading(unix, unix - self.now())

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        self.world.at(seconds, act)

    def sync_seconds(self) -> float:
        return self.world.random.expovariate(1 / self.world.sync_seconds)

    def committed(self) -> None:
        """What was committed reaches the sync process a moment later."""
        if not self._is_telling:
            self._is_telling = True
            self.world.at(self.random.uniform(0.0, 0.003), self._tell)

    # --- life and death

    def next_peer(self) -> int:
        self.last_peer += 1
        return self.last_peer

    def start(self, *, is_new_instance: bool) -> None:
        if is_new_instance:
            self.instance = self.world.random.randbytes(16)
        self.is_up = True
        self.epoch += 1
        self.started += 1
        self.machine = SyncMachine(
            self.name, self.instance, self.world.random, self.now(), self.retention
        )
        self.follower = FollowerState(FeedPosition())
        self._feed_generation = 0
        self.wake_at = None
        self.waits.clear()
        self._unasked.clear()
        self.handle(PeersExpected(True, True))
        self._open_feed()

    def kill(self) -> None:
        """The sync process dies; what it had in hand is gone."""
        self.is_up = False
        self.epoch += 1
        for wire in list(self.wires.values()):
            self.world.break_wire(wire)

    def kill_store(
        self, seconds: float, harm: Callable[[], object] = lambda: None, **crash: int
    ) -> None:
        """The store process dies, and opens again after `seconds`. `harm` befalls it in between."""
        self.store.crash(**crash)
        self.handle(StoreLost())
        harm()
        self.world.at(seconds, self._open_store)

    def _open_store(self) -> None:
        self.store.open()
        self._open_feed()
        unasked, self._unasked = self._unasked, []
        for ask in unasked:
            ask()

    # --- the machine

    def handle(self, event: Event) -> None:
        if not self.is_up:
            return
        for action in self.machine.handle(event, self.now(), self.read_clock()):
            self._do(action)
        self._schedule_wake()

    def _do(self, action: Action) -> None:
        match action:
            case Send():
                self.world.deliver(self, action.peer, action.message)
            case AskStore():
                self._ask_store(action)
            case Close():
                if action.peer in self.wires:
                    self.world.break_wire(self.wires[action.peer])
            case ReplicasKnown():
                self._check_replicas(action)
            case _:
                pass

    def _schedule_wake(self) -> None:
        due = self.machine.next_wake
        if due is None or due == self.wake_at:
            return
        self.wake_at = due
        epoch = self.epoch

        def wake() -> None:
            if self.epoch == epoch and self.wake_at == due:
                self.wake_at = None
                self.handle(WakeUp())

        self.world.at(max(0.0, (due - self.now()) / self.clock_rate) + 1e-6, wake)

    def connected(self, peer: int, wire: Wire) -> None:
        if peer in self.wires:
            self.handle(ConnectionUp(peer, wire.member_for(self)))

    def disconnected(self, peer: int) -> None:
        if self.wires.pop(peer, None) is not None:
            self.handle(ConnectionDown(peer, "broken"))

    # --- the link to the store

    def _ask_store(self, action: AskStore) -> None:
        epoch = self.epoch

        def reply(answer: Any) -> None:
            if self.epoch == epoch:
                self.handle(StoreAnswered(action.number, answer))

        def carry_out() -> None:
            if self.epoch != epoch:
                return
            if self.store.is_open:
                self.store.ask(action.question, reply)
            else:
                self._unasked.append(carry_out)

        self.world.at(self.random.uniform(0.0002, 0.004), carry_out)

    def _open_feed(self) -> None:
        """As `ChangeFollower` does when it has reached the store."""
        if not self.is_up or not self.store.is_open:
            return
        event = self.follower.open(self.store.sequence, self.store.generation)
        if self.store.generation != self._feed_generation or isinstance(event, FeedRestarted):
            self._feed_generation = self.store.generation
            self.handle(FeedOpened(self.store.generation))
        if event is not None:
            self.handle(event)
        self._tell()

    def _tell(self) -> None:
        self._is_telling = False
        if not self.is_up or not self.store.is_open or not self.follower.position.is_known:
            return
        for event in self.store.events_after(self.follower.position.sequence):
            self.follower.receive(event)
            self.handle(event)

    # --- what clients do

    def write(self, key: Key) -> None:
        if self.store.is_open:
            self.store.write_of_client(key)

    def write_and_wait(self, key: Key, count: int) -> None:
        """A write whose client waits until `count` peers have it on disk."""
        if not self.store.is_open:
            return
        damages = tuple([node.damages for node in self.world.nodes])

        def then(write: Any, sequence: int) -> None:
            self.world.waiters += 1
            self.waits[self.world.waiters] = _Wait(write, damages)
            generation = self.store.generation
            self.handle(ReplicasWanted(self.world.waiters, sequence, count, 5.0, generation))

        self.store.write_of_client(key, then)

    def delete(self, key: Key) -> None:
        if self.store.is_open:
            self.store.delete_of_client(key)

    def undelete(self, key: Key) -> None:
        if self.store.is_open:
            self.store.undelete_of_client(key)

    # --- what operators do

    def block(self, name: str) -> None:
        self.handle(BlockOrdered(name, ""))

    def allow_deletions(self, name: str) -> None:
        if self.store.is_open:
            self.store.ask(AllowDeletions(name), lambda _: self.handle(DeletionsResumed(name)))

    def _check_replicas(self, known: ReplicasKnown) -> None:
        wait = self.waits.pop(known.waiter)
        for name in known.peers:
            holder = self.world.nodes[int(name.split("-")[1])]
            if holder.damages == wait.damages[holder.index]:
                assert holder.store.holds(wait.write), f"{name} is said to hold {wait.write}"
