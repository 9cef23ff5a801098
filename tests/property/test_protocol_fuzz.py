"""Mutated frames: whatever comes, the machine answers, ignores it or blames the peer, and does not grow."""

from __future__ import annotations

import random
import resource

import msgpack

from peatnode.codec.frames import frame
from peatnode.model.clock import ClockReading
from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import ChangesSeen
from peatnode.model.peer_limits import MAX_FRAME_BYTES
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
from peatnode.protocol.wire.errors import MessageTooLarge, PeerFault
from peatnode.protocol.wire.frames import PeerFrames
from tests.sim.clocks import EPOCH
from tests.sim.standin import StandinStore
from tests.support.feed_changes import change_of
from tests.unit.protocol.wire.test_messages import MESSAGES

FRAMES = 40_000


class Victim:
    """A machine with a store that answers at once, and one peer that is nothing but trouble."""

    def __init__(self, rng: random.Random) -> None:
        self.machine = SyncMachine("victim", b"v" * 16, rng, 0.0)
        self.store = StandinStore()
        self.now = 0.0
        self.peer = 0
        self.closed = 0
        self.dropped = 0
        self.handled = 0
        self.connect()

    def connect(self) -> None:
        self.peer += 1
        member = Member("trouble", b"t" * 16, self.peer, 1, "", b"", b"t" * 16)
        self._handle(ConnectionUp(self.peer, member))
        self.reader = PeerFrames(MAX_FRAME_BYTES)

    def _handle(self, event: object) -> None:
        pending = [event]
        while pending:
            reading = ClockReading(EPOCH + self.now, EPOCH)  # with a clock it hears of departures
            for action in self.machine.handle(pending.pop(), self.now, reading):  # type: ignore[arg-type]
                if isinstance(action, AskStore):
                    pending.append(StoreAnswered(action.number, self._answer(action)))
                elif isinstance(action, Close):
                    self.closed += 1
        if self.machine.sync_statuses() == []:
            self.connect()

    def _answer(self, action: AskStore) -> object:
        try:
            return self.store.answer(action.question)
        except (ValueError, TypeError, msgpack.UnpackException):
            return None  # a real store refuses what is no update

    def receive(self, data: bytes) -> None:
        self.now += 0.001
        try:
            for content in self.reader.receive_data(data):
                message = self._decode(content)
                if message is not None:
                    self.handled += 1
                    self._handle(MessageReceived(self.peer, message))
        except PeerFault:
            self.closed += 1
            self.connect()
        if self.machine.next_wake is not None and self.machine.next_wake <= self.now:
            self._handle(WakeUp())

    def _decode(self, content: bytes) -> wire.Message | None:
        try:
            return wire.decode(content)
        except MessageTooLarge:
            self.dropped += 1
            return None

    def change_something(self) -> None:
        update = self.store.write(("notes", f"n{self.now}"), 1)
        self._handle(
            ChangesSeen((change_of(self.store.sequence, "", update),), self.store.sequence)
        )


def hostile_name(rng: random.Random) -> str:
    """A name that no node has."""
    return rng.choice(["", "a\nb", "a\x1b[2J", "a\u202eb", "a b", "n" * 254, "\x00", "a/b@c"])


def mutate(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        match rng.randrange(5):
            case 0 if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
            case 1:
                data[rng.randrange(len(data) + 1) :] = b""
            case 2:
                at = rng.randrange(len(data) + 1)
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 3 if data:
                at = rng.randrange(len(data))
                data[at : at + 1] = rng.choice([b"\xc0", b"\xdc\xff\xff", b"\xc6\x7f\xff\xff\xff"])
            case _:
                at = rng.randrange(len(data) + 1)
                data[at:at] = data[: rng.randrange(len(data) + 1)]
    return bytes(data)


def test_mutated_frames_take_nothing_down(rng: random.Random) -> None:
    update = DocumentUpdate("notes", "n", 1, False, 0.0, msgpack.packb([[1, 0, 1]]))
    tombstone = DocumentUpdate("notes", "n", 2, True, 0.0, b"")
    seeds = [wire.encode(message) for message in MESSAGES]
    seeds += [
        wire.encode(wire.Neighbours(True, ((hostile_name(rng), b"t" * 16),) * 600, ())),
        wire.encode(wire.Neighbours(False, (("n", rng.randbytes(16)),), (b"t" * 16, b"u" * 16))),
        wire.encode(wire.Departed(((hostile_name(rng), b"d" * 16, 2**62), ("d", b"", 0)))),
        wire.encode(wire.Departed((("d", b"d" * 16, 1),) * 3000)),
        wire.encode(wire.Departed((("d" * 253, b"d" * 16, 2**62),) * 256)),
        wire.encode(wire.Push(1, pack_updates((update, tombstone)))),
        wire.encode(wire.Push(2, pack_updates((update,) * 20))),
        wire.encode(wire.Updates(1, 1, b"", pack_updates((update,)))),
    ]
    victim = Victim(rng)
    memory = 0
    for count in range(FRAMES):
        content = mutate(rng, rng.choice(seeds))
        if rng.random() < 0.01:
            victim.receive(mutate(rng, frame(content)))
            victim.connect()
        else:
            victim.receive(frame(content))
        if count % 100 == 0:
            victim.change_something()
        if count == FRAMES // 4:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert victim.closed > FRAMES // 100
    assert victim.dropped > 10
    assert victim.handled > FRAMES // 10
    assert grown < 64 * 1024, f"{grown} KiB more"
