"""Members that obey no rule: authenticated, and free to say anything. Their tricks are in `tricks.py`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from peatnode.model.documents import DocumentUpdate
from peatnode.protocol.sync.events import Event, MessageReceived
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates
from tests.sim.node import Node
from tests.sim.standin import Key

if TYPE_CHECKING:
    from tests.sim.world import World

NAME = "insider"
TURN_SECONDS = 0.3
"""Mean time between two turns of an insider."""


class Trick:
    """What an insider does in its turns, and what it answers."""

    def __init__(self, insider: Insider) -> None:
        self.insider = insider
        self.rng: random.Random = insider.random
        self.rests = False
        """After the end of all writes: documents no longer change, everything else goes on."""

    def turn(self, peer: int) -> None:
        """Its time has come to say something to this peer."""

    def answer(self, peer: int, message: wire.Message) -> bool:
        """What a peer has said. Returns whether that is answered, or shall not be."""
        return False

    def say(self, peer: int, message: wire.Message) -> None:
        self.insider.say(peer, message)

    def push(self, peer: int, updates: Sequence[DocumentUpdate]) -> None:
        self.insider.pushes += 1
        self.say(peer, wire.Push(self.insider.pushes, pack_updates(updates)))

    def name(self) -> Key:
        """A document that honest nodes write."""
        return self.rng.choice(self.insider.names)


class Insider(Node):
    """A member without a machine: `tricks` decide what it says."""

    def __init__(self, world: World, index: int) -> None:
        self.names: list[Key] = [("notes", "n0")]
        self.tricks: list[Trick] = []
        self.claims: int | None = None
        """Index of the node whose instance it claims."""
        self.is_admitted: bool | None = None
        """Whether others believe that; None: it has not tried."""
        self.pushes = 0
        self.leaps: set[tuple[Key, int]] = set()
        super().__init__(world, index)
        self.name = f"{NAME}-{index}"

    def start(self, *, is_new_instance: bool) -> None:
        self.is_up = True
        self.started = 2**62
        if self.claims is not None:
            self.instance = self.world.nodes[self.claims].instance
        elif is_new_instance:
            self.instance = self.random.randbytes(16)

    def play(self, tricks: Sequence[type[Trick]]) -> None:
        self.tricks = [trick(self) for trick in tricks]
        self.start(is_new_instance=True)
        self._turn()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.world.at(seconds, act)

    def committed(self) -> None:
        """It has no feed."""

    def _turn(self) -> None:
        self.world.at(self.random.expovariate(1 / TURN_SECONDS), self._turn)
        for peer in list(self.wires):
            for trick in self.tricks:
                trick.turn(peer)

    def say(self, peer: int, message: wire.Message) -> None:
        if peer in self.wires:
            self.world.deliver(self, peer, message)

    def handle(self, event: Event) -> None:
        match event:
            case MessageReceived():
                self._receive(event.peer, event.message)
            case _:
                pass

    def _receive(self, peer: int, message: Any) -> None:
        if any(trick.answer(peer, message) for trick in self.tricks):
            return
        match message:  # as a node would that has nothing and takes everything
            case wire.Push():
                self.say(peer, wire.Ack(message.number, True))
            case wire.AskTree():
                hashes = bytes(16 * 16 * len(message.indexes))
                self.say(peer, wire.Tree(message.number, hashes))
            case wire.AskBuckets():
                self.say(peer, wire.Buckets(message.number, ()))
            case wire.AskUpdates() | wire.AskRange():
                self.say(peer, wire.Unanswered(message.number))
            case wire.Root() if not message.is_answer:
                self.say(peer, wire.Root(bytes(16), True))
