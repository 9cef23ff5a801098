"""A mesh with members that obey no rule, and what its honest nodes promise each other all the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from peatnode.protocol.wire.messages import Message
from tests.sim.bounds import held_bytes
from tests.sim.histories import SETTLE_SECONDS, break_something, restart
from tests.sim.impostors import is_admitted
from tests.sim.insiders import Insider, Trick
from tests.sim.light import LightStore
from tests.sim.node import Node
from tests.sim.operators import Operators
from tests.sim.standin import Key
from tests.sim.tricks import DRIP, KEPT, TRICKS, Leaper, Purger
from tests.sim.world import Weather, World
from tests.support import seeds

MAX_HELD_BYTES = 1024 * 1024
"""Of the machine of a node with three connections."""

WATCHED = 0.4
"""Part of the histories whose messages are counted."""

WATCHED_SECONDS = 10.0
MAX_SAID_A_SECOND = 3.0
"""Messages of an honest node to another one when their documents are equal: roots and their answers, and neighbours."""

MAX_PULLED_A_SECOND = 15.0
"""Messages to an insider whose root differs for ever: a pull every 0.5 s to 5 s, of as many documents as there are."""

MAX_ANSWERS = 1.5
"""Messages to each of the others, for each that an insider sends: its answer, or what is passed on."""


class NotEqual(AssertionError):
    """Honest nodes do not become equal."""


class HostileWorld(World):
    """The first `honest` nodes are honest. They reach each other, and everybody reaches the insiders."""

    def __init__(
        self,
        rng: random.Random,
        honest: int,
        insiders: int,
        weather: Weather,
        make_store: Any,
        node: type[Node],
    ) -> None:
        self.count = honest
        self.honest_type = node
        self.said: Counter[tuple[int, int]] = Counter()
        everybody = range(honest + insiders)
        links = {(a, b) for a in everybody for b in everybody if a < b < honest or a < honest <= b}
        super().__init__(rng, honest + insiders, weather, links, make_store)

    def make_node(self, index: int) -> Node:
        return self.honest_type(self, index) if index < self.count else Insider(self, index)

    @property
    def honest(self) -> list[Node]:
        return self.nodes[: self.count]

    @property
    def insiders(self) -> list[Insider]:
        return [node for node in self.nodes[self.count :] if isinstance(node, Insider)]

    def _connect(self, dialler: Node, accepter: Node) -> None:
        if all(self.is_admitted(node) for node in (dialler, accepter)):
            super()._connect(dialler, accepter)

    def is_admitted(self, node: Node) -> bool:
        """Whether the handshake with a node succeeds."""
        if not isinstance(node, Insider) or node.claims is None:
            return True
        if node.is_admitted is None:
            node.is_admitted = is_admitted(node.name, node.instance)
        return node.is_admitted

    def deliver(self, sender: Node, peer: int, message: Message) -> None:
        wire = sender.wires.get(peer)
        if wire is not None:
            self.said[sender.index, wire.other(sender)[0].index] += 1
        super().deliver(sender, peer, message)

    def are_equal(self) -> bool:
        """Whether the honest nodes hold the same, whatever their roots say."""
        held = [
            {
                key: (document.incarnation, document.is_deleted, document.vector)
                for key, document in node.store.documents.items()
                if key[0] != DRIP
            }
            for node in self.honest
        ]
        return all(node.store.is_idle for node in self.honest) and all(h == held[0] for h in held)


class HostileHistory:
    """One history: `name` and the seed of the run determine all of it."""

    def __init__(
        self,
        name: str,
        tricks: Sequence[type[Trick]] = TRICKS,
        make_store: Any = LightStore,
        world: type[HostileWorld] = HostileWorld,
        node: type[Node] = Node,
    ) -> None:
        self.plan = plan = seeds.generator(f"plan of {name}")
        weather = Weather(delay=plan.choice([0.001, 0.02, 0.1]))
        honest, insiders = plan.choice([2, 2, 3, 3]), plan.choice([1, 1, 1, 2])
        self.world = world(seeds.generator(name), honest, insiders, weather, make_store, node)
        self.limit = plan.choice([2, 3])
        """Documents of others that a member may end in a minute."""
        self.keys: list[Key] = [("notes", f"n{i}") for i in range(plan.choice([1, 5, 20]))]
        self.tricks = [
            plan.sample(tricks, min(len(tricks), plan.choice([1, 1, 2, 3])))
            for _ in range(insiders)
        ]

    def run(self) -> HostileWorld:
        plan, world = self.plan, self.world
        if any(Purger in tricks for tricks in self.tricks):
            self._write_what_is_kept()
        for node in world.honest:  # as if what is kept were old: nobody may end it as its own
            node.store.limit_deletions(self.limit)
        for insider, tricks in zip(world.insiders, self.tricks, strict=True):
            insider.names = [*self.keys, ("notes", "unknown")]
            insider.play(tricks)
        for _ in range(plan.randint(5, 15)):
            self._act(plan.choice(world.honest))
            world.run(plan.expovariate(2.0))
        self._check_memory()
        self._check_kept()
        world.heal()
        for insider in world.insiders:
            for trick in insider.tricks:
                trick.rests = True
        if self._any(Leaper):
            # what leapt in steps is refused by those that missed one: an operator decides
            world.run(5.0)
            for node in world.honest:
                node.store.accept_leaps()
        self._settle()
        if plan.random() < WATCHED:
            self._watch()
        self._check_nothing_lost()
        self._check_members()
        return world

    def _act(self, node: Node) -> None:
        plan, world = self.plan, self.world
        match plan.choices(range(5), [60, 8, 5, 5, 3])[0]:
            case 0:
                for _ in range(plan.choice([1, 3, 10])):
                    node.write(plan.choice(self.keys))
            case 1:
                node.delete(plan.choice(self.keys))
            case 2:
                break_something(world, plan)
            case 3:
                restart(world, node, plan)
            case 4:
                if node.store.is_open:
                    node.kill_store(plan.uniform(0.05, 1.0))

    def _any(self, kind: type[Trick]) -> bool:
        return any(isinstance(trick, kind) for i in self.world.insiders for trick in i.tricks)

    def _write_what_is_kept(self) -> None:
        """The same on all nodes, because a deletion of what a node has not is none there."""
        first, *others = [node.store for node in self.world.honest]
        for key in KEPT:
            update = first.write(key, 1)
            for store in others:
                store.apply(update, "")
            self.world.ledger.append(update)

    def _settle(self) -> None:
        """Operators block the insiders, as often as not, and decide about deletions that are paused."""
        world = self.world
        trusted = {node.name for node in world.honest}
        blocked = {insider.name for insider in world.insiders} - trusted
        if self.plan.random() < 0.5:
            blocked = set()
        operators = Operators(world.honest, blocked)
        operators.block()
        goes_on = any(i.name not in blocked and world.is_admitted(i) for i in self._purgers)
        self._wait(self._are_purged if goes_on else world.are_equal, operators.decide)

    def _are_purged(self) -> bool:
        """What was refused comes when it is allowed."""
        return self.world.are_equal() and not any(self._kept(node) for node in self.world.honest)

    def _wait(self, is_done: Callable[[], bool], decide: Callable[[], None]) -> None:
        end = self.world.now + SETTLE_SECONDS
        while not is_done():
            if self.world.now >= end:
                raise NotEqual(f"the honest nodes differ: {self.describe()}")
            decide()
            self.world.run(1.0)

    def _watch(self) -> None:
        """The insiders go on, and make honest nodes say no more to each other than in peace."""
        world = self.world
        earlier = world.said.copy()  # what insiders have said is passed on a moment later
        world.run(2.0)
        before = world.said.copy()
        world.run(WATCHED_SECONDS)
        said = world.said - before
        heard = sum(
            count for (sender, _), count in (world.said - earlier).items() if sender >= world.count
        )
        for node in world.honest:
            for other in world.nodes:
                count = said[node.index, other.index]
                rate = MAX_PULLED_A_SECOND if isinstance(other, Insider) else MAX_SAID_A_SECOND
                assert count <= MAX_ANSWERS * heard + rate * WATCHED_SECONDS, (
                    f"{node.name} says {count} messages to {other.name}, and the insiders said {heard}: "
                    f"{self.describe()}"
                )

    def _check_memory(self) -> None:
        for node in self.world.honest:
            if node.is_up:
                held = held_bytes(node.machine)
                assert held <= MAX_HELD_BYTES, f"{node.name} holds {held} bytes: {self.describe()}"

    @property
    def _purgers(self) -> list[Insider]:
        return [i for i in self.world.insiders if any(isinstance(t, Purger) for t in i.tricks)]

    def _kept(self, node: Node) -> int:
        return sum(node.store.lives(key) for key in KEPT)

    def _check_kept(self) -> None:
        """An honest node ends what an insider wants up to the limit. So no more is gone on all of them together."""
        world = self.world
        names = {insider.name for insider in self._purgers}
        minutes = 1 + int(world.now / 50.0)
        most = sum((minutes + n.store.openings) * self.limit for n in world.honest) * len(names)
        for node in world.honest if names else ():
            gone = len(KEPT) - self._kept(node)
            assert gone <= most, (
                f"{node.name} has lost {gone} documents, and {most} may end: {self.describe()}"
            )

    def _check_members(self) -> None:
        """Nobody is forgotten because somebody says so."""
        self.world.run(3.0)
        for node in self.world.honest:
            for other in self.world.honest:
                is_member = node.machine.members.book.get(other.name) is not None
                assert is_member or node is other, (
                    f"{node.name} has forgotten {other.name}: {self.describe()}"
                )

    def _check_nothing_lost(self) -> None:
        world = self.world
        leaps = set().union(*(insider.leaps for insider in world.insiders))
        for node in world.honest:
            missing = node.store.missing()
            assert not missing, f"{node.name} lacks {missing[0]}: {self.describe()}"
            for key, incarnation in leaps:
                if incarnation < 2**39:
                    continue
                document = node.store.documents.get(key)
                assert document is None or document.incarnation < incarnation, (
                    f"{node.name} has taken {incarnation} of {key}"
                )

    def describe(self) -> str:
        return "; ".join(
            ", ".join(type(trick).__name__ for trick in insider.tricks)
            for insider in self.world.insiders
        )
