"""The tricks of members that obey no rule: each is one kind of harm."""

from __future__ import annotations

import msgpack

from peatnode.documents.limits import MAX_LEAP
from peatnode.model.documents import BucketEntry, DocumentUpdate
from peatnode.model.peer_limits import MAX_APPLYING, MAX_QUESTIONS_WAITING
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates
from tests.sim.insiders import Insider, Trick
from tests.sim.standin import Key
from tests.support.placed_names import invented_names, placed_in

LAST_INCARNATION = 2**40 - 1
DRIP = "drip"
"""Collection of documents that never stop to change."""
KEPT: tuple[Key, ...] = tuple(("kept", f"k{n}") for n in range(60))
"""Documents that only a Purger ends."""
MADE_UP = tuple((f"made-up-{n}", n.to_bytes(16)) for n in range(600))
"""Nodes that nobody knows."""


class Hog(Trick):
    """As many pushes, questions, roots and presence as the limits allow, at any rate."""

    def turn(self, peer: int) -> None:
        rng = self.rng
        if rng.random() > (0.02 if self.rests else 0.08):
            return
        for _ in range(rng.choice([1, 5, MAX_APPLYING])):
            clock = 0 if self.rests else self.insider.pushes
            ranges = msgpack.packb([[7, 0, clock + 1]])
            self.push(peer, [DocumentUpdate("hog", str(rng.randrange(5)), 1, False, 0.0, ranges)])
        for number in range(rng.choice([1, 1, 5, MAX_QUESTIONS_WAITING])):
            self.say(peer, self._question(number))
        for _ in range(rng.choice([1, 1, 5, 40])):
            self.say(peer, wire.Root(rng.randbytes(16), rng.random() < 0.3))
            self.say(peer, wire.Ack(rng.randrange(50), rng.random() < 0.5))
            self.say(peer, wire.Awareness(rng.randbytes(16), "notes", "n0", b"", bytes(16)))

    def _question(self, number: int) -> wire.Message:
        match self.rng.randrange(4):
            case 0:
                return wire.AskTree(number, 0, (0,))
            case 1:
                return wire.AskBuckets(number, tuple(self.rng.sample(range(65536), 8)))
            case 2:
                return wire.AskUpdates(number, (wire.Wanted(*self.name(), 0, b""),))
            case _:
                return wire.AskRange(number, 0, 65535, b"")


class Liar(Trick):
    """Its root is another one each time. What it has below that is nothing, something else, or not there."""

    def __init__(self, insider: Insider) -> None:
        super().__init__(insider)
        self.mode = self.rng.choice(["empty", "other", "names", "silent", "drip"])
        self.delay = self.rng.choice([0.25, 1.0, 4.0])
        self._dripped = 0

    def turn(self, peer: int) -> None:
        if self.rng.random() < 0.3:
            self._tell_root(peer, is_answer=False)

    def _tell_root(self, peer: int, is_answer: bool) -> None:
        count = self.rng.choice([0, 1, 2**40])
        self.say(peer, wire.Root(self.rng.randbytes(16), is_answer, 0, count, True))

    def answer(self, peer: int, message: wire.Message) -> bool:
        rng = self.rng
        match message:
            case wire.Root():
                if not message.is_answer:
                    self._tell_root(peer, is_answer=True)
                return True
            case wire.AskTree():
                size = 16 * 16 * len(message.indexes)
                hashes = bytes(size) if self.mode == "empty" else rng.randbytes(size)
                return self._later(peer, wire.Tree(message.number, hashes))
            case wire.AskBuckets():
                return self._later(peer, wire.Buckets(message.number, self._entries(message)))
            case wire.AskUpdates():
                return self._later(
                    peer,
                    wire.Updates(message.number, len(message.wanted), b"", self._updates(message)),
                )
            case wire.AskRange() if self.mode == "drip":
                return self._later(peer, wire.Updates(message.number, 0, bytes(16), self._drip()))
            case wire.AskRange():
                after = min(int.from_bytes(message.tree_key or b"\0") + 2**100, 2**128 - 1)
                key = after.to_bytes(16)
                return self._later(peer, wire.Updates(message.number, 0, key, pack_updates([])))
        return False

    def _later(self, peer: int, message: wire.Message) -> bool:
        if self.mode != "silent":
            self.insider.later(self.delay, lambda: self.say(peer, message))
        return True

    def _entries(self, asked: wire.AskBuckets) -> tuple[BucketEntry, ...]:
        rng = self.rng
        if self.mode == "names":
            known = [name for _, name in self.insider.names]
            return tuple(
                BucketEntry("notes", name, rng.choice([1, 1, 2]), False, rng.randbytes(16))
                for name in placed_in("notes", known, asked.indexes)
            )
        made_up = invented_names("notes", asked.indexes)[: rng.choice([0, 1, 30])]
        return tuple(BucketEntry("notes", name, 1, False, rng.randbytes(16)) for name in made_up)

    def _drip(self) -> bytes:
        """One document more, so that something is applied each time."""
        self._dripped += 1
        ranges = msgpack.packb([[7, 0, self._dripped]])
        return pack_updates([DocumentUpdate(DRIP, "one", 1, False, 0.0, ranges)])

    def _updates(self, asked: wire.AskUpdates) -> bytes:
        """Nothing; or what every node has by now; or a bit of something new."""
        if self.mode == "drip":
            return self._drip()
        if self.mode == "names" and not self.rests:
            nothing = msgpack.packb([])
            return pack_updates(
                [DocumentUpdate(w.collection, w.id, 1, False, 0.0, nothing) for w in asked.wanted]
            )
        return pack_updates([])


class Leaper(Trick):
    """Incarnations from which there is no way on, as tombstones and as documents, and clocks of others."""

    def __init__(self, insider: Insider) -> None:
        super().__init__(insider)
        self.in_steps = self.rng.random() < 0.3
        """Some nodes see each step, others only the last one."""
        self._last = 0

    def turn(self, peer: int) -> None:
        if self.rests or self.rng.random() < 0.7:
            return
        incarnation = self.rng.choice([2**21, 2**39, LAST_INCARNATION - 1, LAST_INCARNATION])
        if self.in_steps:
            self._last = incarnation = self._last + MAX_LEAP
        is_deleted = self.rng.random() < 0.5
        ranges = b"" if is_deleted else msgpack.packb([[7, 0, 1]])
        name = self.name() if self.rng.random() < 0.8 else ("notes", "leapt")
        if not self.in_steps:
            self.insider.leaps.add((name, incarnation))
        self.push(peer, [DocumentUpdate(*name, incarnation, is_deleted, 0.0, ranges)])


class Deleter(Trick):
    """Tombstones of what others wrote, hundreds at a time."""

    def turn(self, peer: int) -> None:
        if self.rests or self.rng.random() < 0.5:
            return
        names = list(self.insider.names)
        self.rng.shuffle(names)
        updates = [
            DocumentUpdate(*name, incarnation, True, 0.0, b"")
            for name in names
            for incarnation in (1, 2)
        ]
        self.push(peer, updates)


class Purger(Trick):
    """Ends the documents of KEPT, which nobody else ends: other ones on each node, or all on all."""

    def __init__(self, insider: Insider) -> None:
        super().__init__(insider)
        self.at_once = self.rng.choice([1, 7, len(KEPT)])

    def turn(self, peer: int) -> None:
        if self.rng.random() < (0.9 if self.rests else 0.7):
            return
        ending = self.rng.sample(KEPT, len(KEPT) if self.rests else self.at_once)
        self.push(peer, [self._end(key) for key in ending])

    def _end(self, key: Key) -> DocumentUpdate:
        """A tombstone, or another document in the place of the one that lived."""
        if key in KEPT[::5]:
            return DocumentUpdate(*key, 2, False, 0.0, msgpack.packb([[7, 0, 1]]))
        return DocumentUpdate(*key, 1, True, 0.0, b"")


class Forger(Trick):
    """Neighbours that it does not have, and departures of nodes that are there."""

    def turn(self, peer: int) -> None:
        rng, nodes = self.rng, self.insider.world.nodes
        if rng.random() < 0.5:
            real = [(node.name, node.instance) for node in nodes]
            made_up = MADE_UP[: rng.choice([0, 5, 5, 600])]
            removed = tuple(rng.choice(nodes).instance for _ in range(rng.choice([0, 1, 50])))
            told = wire.Neighbours(rng.random() < 0.5, (*real, *made_up), removed)
            self.say(peer, told)
        if rng.random() < 0.3:
            node = rng.choice(nodes)
            instance = node.instance if rng.random() < 0.7 else rng.randbytes(16)
            when = rng.choice([0, 1, 1_800_000_000_000, 2**50])
            start = rng.randrange(500)
            gone = [(*one, when) for one in MADE_UP[start : start + rng.choice([0, 3, 20])]]
            self.say(peer, wire.Departed(((node.name, instance, when), *gone)))


class Impostor(Trick):
    """Claims to be the process of another node, or another process of it, started long after it."""

    def __init__(self, insider: Insider) -> None:
        super().__init__(insider)
        victim = self.rng.choice(insider.world.nodes[: insider.index])
        if self.rng.random() < 0.5:
            insider.claims = victim.index
        else:
            insider.name = victim.name


TRICKS: tuple[type[Trick], ...] = (Hog, Liar, Leaper, Deleter, Purger, Forger, Impostor)
