"""Many nodes of the sync machine in one process: a virtual clock and a seeded network that does its worst."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import ChangesSeen
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.sync.events import (
    Action,
    AskStore,
    Close,
    ConnectionDown,
    ConnectionUp,
    Event,
    MessageReceived,
    ReplicasKnown,
    ReplicasWanted,
    Send,
    StoreAnswered,
    StoreLost,
    WakeUp,
)
from peatnode.protocol.sync.machine import SyncMachine
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.messages import Message
from tests.sim.replicas import ReplicaStore
from tests.sim.standin import Key, StandinStore
from tests.support.feed_changes import change_of

Store = StandinStore | ReplicaStore


@dataclass(frozen=True)
class Weather:
    """How bad the network is."""

    delay: float = 0.02
    """Mean of a message's, in seconds."""
    loss: float = 0.0
    """Of single messages within a connection: QUIC never does that, the machine must survive it."""
    doubling: float = 0.0
    is_ordered: bool = True
    """Within one stream of one connection."""
    encodes: float = 0.05
    """How many messages go through their encoding."""


class Wire:
    """One connection between two nodes."""

    def __init__(self, a: Node, b: Node, attempt: int) -> None:
        self.ends = {a.index: (a, a.next_peer()), b.index: (b, b.next_peer())}
        self.dialler = a
        self.attempt = attempt
        self.is_open = True
        self.last_delivery: dict[tuple[int, wire.Stream], float] = {}

    def other(self, node: Node) -> tuple[Node, int]:
        (one,) = [end for index, end in self.ends.items() if index != node.index]
        return one


class Node:
    def __init__(self, world: World, index: int) -> None:
        self.world = world
        self.index = index
        self.name = f"node-{index}"
        self.store = world.make_store()
        self.store_generation = 0
        self.store.open(self.client)
        self.clock_offset = world.random.uniform(-1e6, 1e6)
        self.clock_rate = world.random.uniform(0.97, 1.03)
        self.generation = 0
        self.is_up = False
        self.is_store_up = True
        self.epoch = 0
        """CollectionCounts deaths of the sync process: what is scheduled for an earlier one is dropped."""
        self.store_epoch = 0
        self.wires: dict[int, Wire] = {}
        self.last_peer = 0
        self.fed = 0
        self.wake_at: float | None = None
        self.started = 0
        self.instance = b""
        self.machine: SyncMachine
        self.waits: dict[int, int] = {}

    @property
    def client(self) -> int:
        """Of this node and this generation of its store."""
        return (self.index + 1) * 1000 + self.store_generation

    def now(self) -> float:
        return self.clock_offset + self.world.now * self.clock_rate

    def next_peer(self) -> int:
        self.last_peer += 1
        return self.last_peer

    def start(self, *, is_new_instance: bool) -> None:
        if is_new_instance:
            self.instance = self.world.random.randbytes(16)
            self.generation += 1
        self.is_up = True
        self.epoch += 1
        self.started += 1
        self.machine = SyncMachine(self.name, self.instance, self.world.random, self.now())
        self.fed = self.store.sequence
        self.wake_at = None
        self.waits.clear()
        self.handle(ChangesSeen((), self.fed))

    def kill(self) -> None:
        """The sync process dies; what it had in hand is gone."""
        self.is_up = False
        self.epoch += 1
        for wire_ in list(self.wires.values()):
            self.world.break_wire(wire_)

    def kill_store(self, seconds: float) -> None:
        self.is_store_up = False
        self.store_epoch += 1
        self.store_generation += 1
        self.store.stage_and_lose(("notes", "n0"))
        self.store.open(self.client)
        self.handle(StoreLost())
        self.world.at(seconds, self._restart_store)

    def _restart_store(self) -> None:
        self.is_store_up = True
        self.feed()

    def handle(self, event: Event) -> None:
        if not self.is_up:
            return
        for action in self.machine.handle(event, self.now()):
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

    def _ask_store(self, action: AskStore) -> None:
        epoch, store_epoch = self.epoch, self.store_epoch

        def carry_out() -> None:
            if self.store_epoch == store_epoch and self.is_store_up:
                answer = self.store.answer(action.question)
                self.feed()
            else:
                answer = None
            if self.epoch == epoch:
                self.handle(StoreAnswered(action.number, answer))

        self.world.at(self.world.random.uniform(0.0002, 0.004), carry_out)

    def feed(self) -> None:
        """What was committed reaches the sync process a moment later."""
        epoch = self.epoch

        def tell() -> None:
            if self.epoch != epoch or self.fed >= self.store.sequence or not self.is_store_up:
                return
            changes = tuple(
                [
                    change_of(self.fed + 1 + i, origin, update)
                    for i, (update, origin) in enumerate(self.store.feed[self.fed :])
                ]
            )
            self.fed = self.store.sequence
            self.handle(ChangesSeen(changes, self.fed))

        self.world.at(self.world.random.uniform(0.0, 0.003), tell)

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

    def _check_replicas(self, known: ReplicasKnown) -> None:
        sequence = self.waits.pop(known.waiter)
        update, _ = self.store.feed[sequence - 1]
        for name in known.peers:
            holder = self.world.nodes[int(name.split("-")[1])]
            assert holder.store.holds(update), f"{name} is said to hold {update}"

    def wait_replicas(self, sequence: int, count: int) -> None:
        self.world.waiters += 1
        self.waits[self.world.waiters] = sequence
        self.handle(ReplicasWanted(self.world.waiters, sequence, count, 5.0))


class World:
    def __init__(
        self,
        rng: random.Random,
        count: int,
        weather: Weather,
        links: set[tuple[int, int]],
        make_store: Callable[[], Store] = StandinStore,
    ) -> None:
        self.random = rng
        self.now = 0.0
        self.weather = weather
        self.make_store = make_store
        self.links = links
        self.cut: set[tuple[int, int]] = set()
        self.waiters = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._attempts = 0
        self.written: list[DocumentUpdate] = []
        """All that was acknowledged, as it was when committed."""
        self.steps = 0
        self.sent = 0
        """Messages."""
        self.nodes = [Node(self, index) for index in range(count)]
        for node in self.nodes:
            node.start(is_new_instance=True)
        for link in sorted(links):
            self.at(self.random.uniform(0.0, 1.0), lambda link=link: self._keep_linked(link))

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (self.now + seconds, self._order, act))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, act = heapq.heappop(self._events)
            self.steps += 1
            act()
        self.now = end

    # --- network -----------------------------------------------------------------------------------

    def _keep_linked(self, link: tuple[int, int]) -> None:
        """Dials until the two are connected; as often as not from the other side, sometimes twice."""
        a, b = self.nodes[link[0]], self.nodes[link[1]]
        if link not in self.links:
            return
        self.at(self.random.uniform(0.3, 1.5), lambda: self._keep_linked(link))
        if not a.is_up or not b.is_up or link in self.cut:
            return
        is_connected = any(wire_.other(a)[0] is b for wire_ in a.wires.values())
        if is_connected and self.random.random() < 0.98:
            return
        if self.random.random() < 0.5:
            a, b = b, a
        self._connect(a, b)

    def _connect(self, dialler: Node, accepter: Node) -> None:
        self._attempts += 1
        wire_ = Wire(dialler, accepter, self._attempts)
        for index, (node, peer) in wire_.ends.items():
            node.wires[peer] = wire_
            other = wire_.other(node)[0]
            member = Member(
                other.name, other.instance, other.started, wire_.attempt, "", b"", dialler.instance
            )

            def come_up(node: Node = node, peer: int = peer, member: Member = member) -> None:
                if peer in node.wires:
                    node.handle(ConnectionUp(peer, member))

            self.at(self.random.uniform(0.0, 0.01), come_up)
            wire_.last_delivery[(index, wire.Stream.LIVE)] = self.now + 0.011
            wire_.last_delivery[(index, wire.Stream.BULK)] = self.now + 0.011

    def break_wire(self, wire_: Wire) -> None:
        """Each side learns of it in its own time; what is on its way is lost."""
        if not wire_.is_open:
            return
        wire_.is_open = False
        for node, peer in wire_.ends.values():

            def learn(node: Node = node, peer: int = peer) -> None:
                if node.wires.pop(peer, None) is not None:
                    node.handle(ConnectionDown(peer, "broken"))

            self.at(self.random.choice([0.0, 0.05, 2.0]), learn)

    def deliver(self, sender: Node, peer: int, message: Message) -> None:
        self.sent += 1
        wire_ = sender.wires.get(peer)
        if wire_ is None or not wire_.is_open:
            return
        receiver, receiving_peer = wire_.other(sender)
        weather = self.weather
        if self.random.random() < weather.encodes:
            decoded = wire.decode(wire.encode(message))
            assert decoded == message
            message = decoded
        copies = 1 + (self.random.random() < weather.doubling)
        if self.random.random() < weather.loss:
            copies = 0
        for _ in range(copies):
            at = self.now + self.random.expovariate(1 / weather.delay)
            if weather.is_ordered:
                lane = (receiver.index, message.STREAM)
                at = max(at, wire_.last_delivery[lane] + 1e-7)
                wire_.last_delivery[lane] = at

            def arrive() -> None:
                if wire_.is_open and receiving_peer in receiver.wires:
                    receiver.handle(MessageReceived(receiving_peer, message))

            self.at(at - self.now, arrive)

    # --- what clients do ---------------------------------------------------------------------------

    def write(self, node: Node, key: Key) -> None:
        self.written.append(node.store.write(key, node.client))
        node.feed()

    def delete(self, node: Node, key: Key) -> None:
        update = node.store.delete(key)
        if update is not None:
            self.written.append(update)
            node.feed()

    # --- what must hold ----------------------------------------------------------------------------

    def heal(self) -> None:
        self.cut.clear()
        self.weather = Weather(delay=self.weather.delay)
        for node in self.nodes:
            if not node.is_up:
                node.start(is_new_instance=True)

    def have_converged(self) -> bool:
        return len({node.store.root for node in self.nodes}) == 1

    def check_nothing_lost(self) -> None:
        for node in self.nodes:
            for update in self.written:
                assert node.store.holds(update), f"{node.name} lacks {update}"
