"""Messages that decode, with fields and orders that no honest node has: only PeerFault comes of them, and no growth."""

from __future__ import annotations

import dataclasses
import random
import typing
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from peatnode.errors import MalformedFrame
from peatnode.model.clock import ClockReading
from peatnode.model.documents import DocumentUpdate
from peatnode.model.sync import TreeReply
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.sync.events import (
    AskStore,
    Close,
    ConnectionUp,
    MessageReceived,
    StoreAnswered,
    WakeUp,
)
from peatnode.protocol.sync.machine import SyncMachine
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates
from peatnode.protocol.wire.errors import PeerFault
from tests.sim.bounds import held_bytes
from tests.sim.clocks import EPOCH
from tests.sim.standin import StandinStore

TYPES: tuple[type[Any], ...] = typing.get_args(wire.Message)
ROUNDS = 1500
PEERS = 3
MAX_HELD_BYTES = 6 * 1024 * 1024
"""Of the machine, whose peers send what fits the limits of messages, while its store answers nothing."""

INTEGERS = (0, 0, 1, 1, 2, 3, 4, 5, 15, 16, 255, 256, 65535, 65536, 2**31, 2**40 - 1, 2**40, 2**53)
LARGE = (2**63 - 1, 2**63, 2**64 - 1)
NAMES = (
    "notes",
    "n0",
    "n1",
    "",
    "a\nb",
    "a\x1b[2J",
    "\u202e",
    "n" * 253,
    "n" * 254,
    "ü" * 200,
    "/",
)
SIZES = (0, 1, 15, 16, 16, 16, 17, 32, 64, 256, 4096)


class Draw:
    """Values of the types of fields, and among them those at the edges."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.instances = [bytes([number]) * 16 for number in range(1, 6)]

    def message(self, kind: type[Any] | None = None) -> wire.Message:
        kind = kind or self.rng.choice(TYPES)
        if kind in (wire.Push, wire.Updates) and self.rng.random() < 0.8:
            batch = pack_updates([self.update() for _ in range(self.rng.choice([0, 1, 3, 30]))])
            return self.record(kind, batch=batch)
        return self.record(kind)

    def update(self) -> DocumentUpdate:
        rng = self.rng
        ranges = [[rng.choice(INTEGERS), rng.choice(INTEGERS), rng.choice(INTEGERS)]]
        return DocumentUpdate(
            rng.choice(NAMES[:3]),
            rng.choice(NAMES[:3]),
            rng.choice(INTEGERS),
            rng.random() < 0.3,
            rng.choice([0.0, -1.0, 1e300, EPOCH]),
            rng.choice([b"", msgpack.packb(ranges), rng.randbytes(8)]),
        )

    def record(self, kind: type[Any], **given: Any) -> Any:
        hints = typing.get_type_hints(kind)
        drawn = {
            field.name: self.value(hints[field.name])
            for field in dataclasses.fields(kind)
            if field.name not in given
        }
        return kind(**given, **drawn)

    def value(self, hint: Any) -> Any:
        rng = self.rng
        if hint is bool:
            return rng.random() < 0.5
        if hint is int:
            return rng.choice(LARGE if rng.random() < 0.05 else INTEGERS)
        if hint is str:
            return rng.choice(NAMES)
        if hint is bytes:
            if rng.random() < 0.4:
                return rng.choice(self.instances)
            return rng.randbytes(rng.choice(SIZES))
        if dataclasses.is_dataclass(hint):
            return self.record(typing.cast("type[Any]", hint))
        arguments = typing.get_args(hint)
        assert typing.get_origin(hint) is tuple, hint
        if arguments[-1] is Ellipsis:
            count = rng.choice([0, 1, 1, 2, 5, 64, 257, 1001])
            once = [self.value(arguments[0]) for _ in range(min(count, 8))]
            return tuple(rng.choice(once) if once else None for _ in range(count))
        return tuple(self.value(argument) for argument in arguments)


class Besieged:
    """A machine, peers that say anything in any order, and a store that answers as `answers` decides."""

    def __init__(self, rng: random.Random, answers: Callable[[AskStore], bool]) -> None:
        self.rng = rng
        self.machine = self.make_machine(rng)
        self.store = StandinStore()
        self.now = 0.0
        self.connections = 0
        self.closed = 0
        self.unanswered: list[AskStore] = []
        self._answers = answers
        self.peers = [self.connect(number) for number in range(PEERS)]

    def make_machine(self, rng: random.Random) -> SyncMachine:
        return SyncMachine("victim", b"v" * 16, rng, 0.0)

    def connect(self, number: int) -> int:
        self.connections += 1
        instance = bytes([number + 1]) * 16
        member = Member(f"trouble-{number}", instance, self.connections, 1, "", b"", instance)
        self.handle(ConnectionUp(self.connections, member))
        return self.connections

    def handle(self, event: Any) -> None:
        events = [event]
        while events:
            reading = ClockReading(EPOCH + self.now, EPOCH)
            for action in self.machine.handle(events.pop(), self.now, reading):
                if isinstance(action, Close):
                    self.closed += 1
                elif isinstance(action, AskStore) and self._answers(action):
                    events.append(StoreAnswered(action.number, self.answer(action)))
                elif isinstance(action, AskStore):
                    self.unanswered.append(action)

    def answer(self, action: AskStore) -> Any:
        try:
            return self.store.answer(action.question)
        except (ValueError, TypeError, msgpack.UnpackException):
            return None  # a real store refuses what is no update

    def answer_one(self) -> None:
        """In any order; sometimes the store has died."""
        if self.unanswered:
            at = self.rng.randrange(len(self.unanswered))
            action = self.unanswered.pop(at)
            answer = self.answer(action) if self.rng.random() < 0.9 else None
            self.handle(StoreAnswered(action.number, answer))

    def receive(self, number: int, message: wire.Message) -> None:
        self.now += 0.001
        try:
            decoded = wire.decode(wire.encode(message))
        except (PeerFault, MalformedFrame, OverflowError):
            return
        assert decoded is not None
        self.handle(MessageReceived(self.peers[number], decoded))
        due = self.machine.next_wake
        if due is not None and due <= self.now:
            self.handle(WakeUp())
        connected = {status.peer for status in self.machine.sync_statuses()}
        for other, peer in enumerate(self.peers):
            if peer not in connected:
                self.peers[other] = self.connect(other)


def test_hostile_fields_in_any_order_raise_nothing_but_faults(rng: random.Random) -> None:
    draw = Draw(rng)
    victim = Besieged(rng, lambda asked: rng.random() < 0.5)
    for _ in range(ROUNDS):
        victim.receive(rng.randrange(PEERS), draw.message())
        while len(victim.unanswered) > rng.choice([0, 20]):
            victim.answer_one()
    assert victim.closed > 100
    assert held_bytes(victim.machine) < MAX_HELD_BYTES


def never(asked: AskStore) -> bool:
    return False


@pytest.mark.parametrize("kind", TYPES)
def test_what_one_type_of_message_leaves_behind_is_bounded(
    kind: type[Any], rng: random.Random
) -> None:
    """The store answers nothing, so that whatever waits for it stays."""
    draw, victim = Draw(rng), Besieged(rng, never)
    for _ in range(ROUNDS // 3):
        victim.receive(0, draw.message(kind))
    before = held_bytes(victim.machine)
    for _ in range(ROUNDS // 3):
        victim.receive(0, draw.message(kind))
    assert held_bytes(victim.machine) < max(MAX_HELD_BYTES, before + before // 10)


class Queueing(SyncMachine):
    """Each Root waits for the root of the store."""

    kept: list[Any]

    def with_root(self, owner: Any, purpose: str, then: Callable[[TreeReply], None]) -> None:
        self.__dict__.setdefault("kept", []).append((owner, purpose, then))
        super().with_root(owner, purpose, then)


def test_control_a_queue_without_a_limit_is_seen(rng: random.Random) -> None:
    class Victim(Besieged):
        def make_machine(self, rng: random.Random) -> SyncMachine:
            return Queueing("victim", b"v" * 16, rng, 0.0)

    victim = Victim(rng, never)
    before = held_bytes(victim.machine)
    for number in range(ROUNDS):
        victim.receive(0, wire.Root(bytes(15) + bytes([number % 256]), False))
    assert held_bytes(victim.machine) > before + ROUNDS * 100
