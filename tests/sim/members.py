"""Histories of nodes that come, go, are forgotten and leave for good, and what each node must know of the others."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from peatnode.model.members import MAX_PEER_EVENTS, MAX_REMEMBERED_PEERS
from peatnode.model.peer_limits import MAX_DEPARTURES
from peatnode.protocol.members.book import MemberBook
from peatnode.protocol.members.membership import KEEP_SECONDS, RETENTION_SECONDS, TIMES_SECONDS
from peatnode.protocol.sync.events import (
    Action,
    ConnectionDown,
    ForgetOrdered,
    PeerAppeared,
    PeerVanished,
)
from tests.sim.histories import cut
from tests.sim.node import Node
from tests.sim.world import Weather, Wire, World
from tests.support import seeds

IDLE_SECONDS = 10.0
"""A connection ends when nothing was heard for this time."""

SHORT_RETENTION = 30.0
KEPT_SECONDS = KEEP_SECONDS + 1.5
"""After this time the store has what was learned, if it is open."""

YEAR = 365 * 86400.0


@dataclass
class Known:
    """What a node must know of another one that it has authenticated."""

    instance: str
    learned_at: float
    last_contact: float
    connected: set[str] = field(default_factory=set)
    appeared_at: float = 0.0
    counted: float = 0.0
    """Seconds of its absence for which this node has run, by its own clock, up to `counted_from`."""
    counted_from: float = 0.0
    before: float = 0.0
    """The same for the absence before it appeared: it goes on if the store was not told in time."""
    restarts: int = 0
    """Of the observer, during this absence."""


@dataclass
class Gone:
    """Somebody has learned that a node is gone for good: by its goodbye, or by order of an operator."""

    name: str
    instance: str
    at: float
    was_up: bool
    by: MemberNode
    is_sure: bool = False
    """Whether the node that learned it has lived long enough to have it kept."""


class MemberNode(Node):
    """It notes whom it has met, apart from its book."""

    world: MemberWorld

    def __init__(self, world: World, index: int) -> None:
        super().__init__(world, index)
        self.known: dict[str, Known] = {}
        self.came_at = 0.0

    def start(self, *, is_new_instance: bool) -> None:
        super().start(is_new_instance=is_new_instance)
        self.came_at = self.world.now
        for known in self.known.values():
            known.counted_from = self.now()
            known.restarts += 1

    def _do(self, action: Action) -> None:
        now = self.world.now
        match action:
            case PeerAppeared():
                if action.node_id not in self.known or not self.must_remember(action.node_id):
                    self.known[action.node_id] = Known(
                        action.instance, now, now, counted_from=self.now()
                    )
                known = self.known[action.node_id]
                if not known.connected:
                    known.before += self.absence(known)
                    known.appeared_at = now
                known.instance, known.counted, known.restarts = action.instance, 0.0, 0
                known.connected.add(action.instance)
            case PeerVanished():
                known = self.known[action.node_id]
                known.connected.discard(action.instance)
                if now - known.appeared_at > KEPT_SECONDS:
                    known.before = 0.0
                known.last_contact, known.counted_from = now, self.now()
        super()._do(action)

    def absence(self, known: Known) -> float:
        if known.connected:
            return 0.0
        return known.counted + (self.now() - known.counted_from if self.is_up else 0.0)

    def stop_noting(self) -> None:
        """The process ends: what was learned just now may be lost, all else is kept."""
        now = self.world.now
        kept = self.store.members.peers
        for name, known in list(self.known.items()):
            is_settled = now - known.learned_at > KEPT_SECONDS
            if name not in kept:
                assert not (is_settled and self.must_remember(name)), f"{self.name} kept no {name}"
                del self.known[name]
                continue
            known.counted = self.absence(known)
            if now - known.appeared_at > KEPT_SECONDS:
                known.before = 0.0
            else:
                known.instance = kept[name].instance
            if known.connected:
                known.connected.clear()
                known.last_contact = now

    def kill(self) -> None:
        self.stop_noting()
        super().kill()

    def vanish(self) -> None:
        """The machine loses its power: nobody is told, and the others notice at the idle timeout."""
        self.stop_noting()
        self._fall_silent(lambda _: (IDLE_SECONDS, False))

    def leave(self, rng: random.Random) -> None:
        """It says goodbye for good; some may not hear it."""
        self.stop_noting()
        self._fall_silent(
            lambda _: (rng.uniform(0.0, 0.3), True) if rng.random() < 0.8 else (IDLE_SECONDS, False)
        )

    def _fall_silent(self, farewell: Callable[[Wire], tuple[float, bool]]) -> None:
        """`farewell`: after what time the other end of a connection notices, and whether it hears of a departure."""
        self.is_up = False
        self.epoch += 1
        wires, self.wires = self.wires, {}
        for wire in wires.values():
            was_open, wire.is_open = wire.is_open, False
            other, peer = wire.other(self)
            seconds, has_left = farewell(wire)
            has_left = has_left and was_open
            self.world.at(
                seconds, lambda o=other, p=peer, left=has_left: o.end(p, self.name, has_left=left)
            )

    def end(self, peer: int, name: str, *, has_left: bool) -> None:
        """A connection ends."""
        if self.wires.pop(peer, None) is None or not self.is_up:
            return
        if has_left:
            self._note_goodbye(peer, name)
        self.handle(ConnectionDown(peer, "gone", has_left))

    def _note_goodbye(self, peer: int, name: str) -> None:
        """That of the last instance counts once the connections of earlier ones, which are dead, have ended too.

        A connection that the node has not seen begin, or has replaced, says nothing.
        """
        instances = {s.peer: s.member.instance.hex() for s in self.machine.sync_statuses()}
        if peer not in instances:
            return
        known = self.known[name]
        is_alone = len(known.connected) <= 1
        if is_alone or instances[peer] == known.instance:
            self.world.note_gone(self, name, is_kept_soon=is_alone)

    def forget(self, name: str) -> None:
        """An operator forgets an absent member."""
        if self.is_up and name in {peer.node_id for peer in self.book.absent()}:
            self.world.note_gone(self, name, is_kept_soon=True)
            self.handle(ForgetOrdered(name))

    @property
    def book(self) -> MemberBook:
        return self.machine.members.book

    # --- what must hold

    def must_remember(self, name: str) -> bool:
        known = self.known[name]
        if self.absence(known) + known.before >= self.retention - 1.0 and not known.connected:
            return False
        return known.connected != set() or not any(
            gone.instance == known.instance
            or gone.at >= known.last_contact - 0.5
            or self.world.has_wrong_clock
            for gone in self.world.gone
            if gone.name == name
        )

    def must_have_forgotten(self, name: str) -> bool:
        known = self.known[name]
        if known.connected:
            return False
        lost = min(TIMES_SECONDS, self.retention / 20) * (1 + known.restarts)
        return self.absence(known) > self.retention + lost + 3.0

    def check(self) -> None:
        """At any time."""
        if not self.is_up or not self.book.is_read:
            return
        remembered = {peer.node_id for peer in self.book.remembered()}
        absent = {peer.node_id for peer in self.book.absent()}
        connected = {s.member.node_id for s in self.machine.sync_statuses()}
        assert not absent & connected, f"{self.name} shows {absent & connected} as absent"
        departed = {departure.node_id for departure in self.book.departures}
        assert not departed & connected, f"{self.name} tells that {departed & connected} is gone"
        for name in self.known:
            if self.must_remember(name):
                assert name in remembered, f"{self.name} has forgotten {name}"
            if self.must_have_forgotten(name):
                assert name not in remembered, f"{self.name} still remembers {name}"
        assert self.name not in remembered
        assert len(remembered) <= MAX_REMEMBERED_PEERS
        assert len(self.book.departures) <= MAX_DEPARTURES
        assert len(self.book.log.events) <= MAX_PEER_EVENTS


class MemberWorld(World):
    node_type = MemberNode
    nodes: list[MemberNode]
    gone: list[Gone]
    has_wrong_clock = False

    def note_gone(self, by: MemberNode, name: str, *, is_kept_soon: bool) -> None:
        known = by.known[name]
        gone = Gone(name, known.instance, self.now, self.node_named(name).is_up, by)
        self.gone.append(gone)
        epoch = by.epoch

        def settle() -> None:
            gone.is_sure = by.epoch == epoch and by.store.is_open

        if is_kept_soon:
            self.at(KEPT_SECONDS, settle)

    def node_named(self, name: str) -> MemberNode:
        return next(node for node in self.nodes if node.name == name)

    def check(self) -> None:
        for node in self.nodes:
            node.check()

    def run_and_check(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.run(min(2.0, end - self.now))
            self.check()


def run_members(name: str, node_type: type[MemberNode] = MemberNode) -> MemberWorld:
    """A history. `name` and the seed of the run determine all of it."""
    plan = seeds.generator(f"plan of {name}")
    count = plan.choice([3, 3, 3, 4, 5])
    world = _world(name, count, plan, node_type)
    world.run_and_check(3.0)
    for _ in range(plan.randint(5, 14)):
        _act(world, plan)
        is_short = world.nodes[0].retention == SHORT_RETENTION
        world.run_and_check(plan.expovariate(0.15 if is_short else 0.3))
    _end(world, plan)
    return world


def world_of(
    name: str, count: int, retention: float, node_type: type[MemberNode] = MemberNode
) -> MemberWorld:
    """Nodes that are all linked, and that forget a member after `retention` seconds of absence."""
    links = {(a, b) for a in range(count) for b in range(a + 1, count)}
    kind = type("World", (MemberWorld,), {"node_type": node_type, "gone": []})
    world: MemberWorld = kind(seeds.generator(name), count, Weather(delay=0.01), links)
    for node in world.nodes:
        node.retention = retention
        node.start(is_new_instance=True)
    return world


def _world(name: str, count: int, plan: random.Random, node_type: type[MemberNode]) -> MemberWorld:
    world = world_of(name, count, plan.choice([SHORT_RETENTION, RETENTION_SECONDS]), node_type)
    if plan.random() < 0.4:
        world.has_wrong_clock = True
        plan.choice(world.nodes).wall_offset = plan.choice([-YEAR, -60.0, 12.0, 3600.0, YEAR])
    return world


def _act(world: MemberWorld, plan: random.Random) -> None:
    node = plan.choice(world.nodes)
    is_short = node.retention == SHORT_RETENTION
    match plan.choices(range(8), [3, 3, 3, 3, 2, 2, 1, 1])[0]:
        case 0:
            cut(world, plan)
        case 1:
            world.cut.clear()
        case 2:
            if node.is_up:
                plan.choice([node.kill, node.vanish])()
        case 3:
            if not node.is_up:
                node.start(is_new_instance=True)
        case 4:
            if node.is_up and not is_short:
                node.leave(plan)
        case 5:
            if not is_short:
                node.forget(plan.choice(world.nodes).name)
        case 6:
            if node.is_up and node.store.is_open:
                node.kill_store(plan.uniform(0.05, 1.0))
        case 7:
            if world.has_wrong_clock:
                node.wall_offset += plan.choice([-3600.0, 12.0, 3600.0])


def _end(world: MemberWorld, plan: random.Random) -> None:
    """The network heals. Those who are down come back, or stay away for less or for more than the retention."""
    down = [node for node in world.nodes if not node.is_up]
    for node in down:
        if plan.random() < 0.5:
            node.start(is_new_instance=True)
    world.cut.clear()
    world.run_and_check(IDLE_SECONDS + 6.0)
    up = [node for node in world.nodes if node.is_up]
    while any(len(node.machine.sync_statuses()) < len(up) - 1 for node in up):
        world.run(0.1)  # a connection was just replaced by another one
        assert world.now < 1000.0, "the nodes do not connect"
    check_members(world, up)
    if world.nodes[0].retention == SHORT_RETENTION and len(up) < len(world.nodes):
        world.run_and_check(1.3 * SHORT_RETENTION + 12.0)
        for node in up:
            assert not node.book.absent(), f"{node.name} remembers who is away for too long"


def check_members(world: MemberWorld, up: list[MemberNode]) -> None:
    """In a mesh that is whole again."""
    for node in up:
        remembered = {peer.node_id for peer in node.book.remembered()}
        live = {other.name for other in up if other is not node}
        assert live <= remembered, f"{node.name} has forgotten {live - remembered}, who is there"
        absent = {peer.node_id: peer for peer in node.book.absent()}
        assert not absent.keys() & live
        for gone in world.gone:
            if gone.name not in absent or not gone.is_sure or not gone.by.is_up:
                continue
            if gone.was_up or world.node_named(gone.name).came_at > gone.at:
                continue  # the node has proved itself again, to those whom it met
            known = node.known[gone.name]
            is_meant = gone.instance == known.instance or (
                gone.at >= known.last_contact and not world.has_wrong_clock
            )
            assert not is_meant, f"{gone.name} is back as absent on {node.name}"
