"""Many nodes in one process: a virtual clock, and a seeded network that does its worst."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.sync.events import MessageReceived
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.messages import Message
from tests.sim.light import LightStore
from tests.sim.node import Node


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
    decodes: float = 0.05
    """How many messages are decoded from their bytes."""


class Wire:
    """One connection between two nodes."""

    def __init__(self, a: Node, b: Node, attempt: int) -> None:
        self.ends = {a.index: (a, a.next_peer()), b.index: (b, b.next_peer())}
        self.dialler = a
        self.attempt = attempt
        self.is_open = True
        self.last_delivery: dict[tuple[int, wire.Stream], float] = {}
        self._others = {a.index: self.ends[b.index], b.index: self.ends[a.index]}
        self._members = {a.index: self._member(b), b.index: self._member(a)}

    def other(self, node: Node) -> tuple[Node, int]:
        return self._others[node.index]

    def _member(self, node: Node) -> Member:
        dialled_by = self.dialler.instance
        key = node.name.encode().ljust(32, b"-")
        return Member(node.name, node.instance, node.started, self.attempt, "", key, dialled_by)

    def member_for(self, node: Node) -> Member:
        """Who is at the other end, as it was when the connection was made."""
        return self._members[node.index]


class World:
    node_type: type[Node] = Node

    def __init__(
        self,
        rng: random.Random,
        count: int,
        weather: Weather,
        links: set[tuple[int, int]],
        make_store: Callable[[int, Node, Any], Any] = LightStore,
        ledger: Any = None,
    ) -> None:
        """`ledger` is what the stores share to note what clients were told."""
        self.random = rng
        self.now = 0.0
        self.weather = weather
        self.make_store = make_store
        self.ledger = [] if ledger is None else ledger
        self.links = links
        self.cut: set[tuple[int, int]] = set()
        self.waiters = 0
        self.sync_seconds = 0.002
        """Mean time of a sync."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._attempts = 0
        self.steps = 0
        self.sent = 0
        """Messages."""
        self.sent_bytes = 0
        """Their encoded size, without what QUIC adds."""
        self.nodes = [self.make_node(index) for index in range(count)]
        for node in self.nodes:
            node.start(is_new_instance=True)
        for link in sorted(links):
            self.at(self.random.uniform(0.0, 1.0), lambda link=link: self._keep_linked(link))

    def make_node(self, index: int) -> Node:
        return self.node_type(self, index)

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
            self.at(
                self.random.uniform(0.0, 0.01),
                lambda node=node, peer=peer: node.connected(peer, wire_),
            )
            wire_.last_delivery[(index, wire.Stream.LIVE)] = self.now + 0.011
            wire_.last_delivery[(index, wire.Stream.BULK)] = self.now + 0.011

    def break_wire(self, wire_: Wire) -> None:
        """Each side learns of it in its own time; what is on its way is lost."""
        if not wire_.is_open:
            return
        wire_.is_open = False
        for node, peer in wire_.ends.values():
            self.at(
                self.random.choice([0.0, 0.05, 2.0]),
                lambda node=node, peer=peer: node.disconnected(peer),
            )

    def deliver(self, sender: Node, peer: int, message: Message) -> None:
        encoded = wire.encode(message)
        self.sent += 1
        self.sent_bytes += len(encoded)
        wire_ = sender.wires.get(peer)
        if wire_ is None or not wire_.is_open:
            return
        receiver, receiving_peer = wire_.other(sender)
        weather, chance = self.weather, self.random.random
        if chance() < weather.decodes:
            decoded = wire.decode(encoded)
            assert decoded == message
            message = decoded
        copies = 1
        if weather.doubling or weather.loss:
            copies += chance() < weather.doubling
            copies *= chance() >= weather.loss

        def arrive() -> None:
            if wire_.is_open and receiving_peer in receiver.wires:
                receiver.handle(MessageReceived(receiving_peer, message))

        for _ in range(copies):
            at = self.now + self.random.expovariate(1 / weather.delay)
            if weather.is_ordered:
                lane = (receiver.index, message.STREAM)
                at = max(at, wire_.last_delivery[lane] + 1e-7)
                wire_.last_delivery[lane] = at
            self.at(at - self.now, arrive)

    # --- what must hold ----------------------------------------------------------------------------

    def disk_damaged(self, node: Node) -> None:
        """Call after the disk of a node has lost something that was synced."""
        node.damages += 1
        self.ledger.disk_damaged(node.store.disk.durable for node in self.nodes)

    def heal(self) -> None:
        self.cut.clear()
        self.weather = replace(self.weather, loss=0.0, doubling=0.0, is_ordered=True)
        for node in self.nodes:
            if not node.is_up:
                node.start(is_new_instance=True)

    def have_converged(self) -> bool:
        if not all(node.store.is_idle for node in self.nodes):
            return False
        return len({node.store.root for node in self.nodes}) == 1

    def is_in_sync(self) -> bool:
        """Whether every node reports every peer as equal."""
        return all(s.is_in_sync for node in self.nodes for s in node.machine.sync_statuses())

    def check_nothing_lost(self) -> None:
        for node in self.nodes:
            missing = node.store.missing()
            assert not missing, f"{node.name} lacks {missing[0]}, and {len(missing) - 1} more"
