"""Members of the mesh that hold the secret and answer lies."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from peatnode.model.documents import BucketEntry, DocumentUpdate
from peatnode.model.tree import BUCKETS, FAN_OUT, HASH_BYTES
from peatnode.protocol.sync.events import Action, Event, MessageReceived, Send
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates
from peatnode.protocol.wire.messages import Message
from tests.sim.node import Node
from tests.sim.world import Weather, World
from tests.support.placed_names import invented_names

NOTHING = pack_updates(())
KNOWN = pack_updates((DocumentUpdate("lies", "known", 1, True, 0.0, b"\0"),))
"""A deletion that is here already, but for the first time."""
LIES = ("empty", "known", "unanswered", "garbage", "invented", "silent")


class Liar(Node):
    """Its root is another one each time, and its answers, one a second, never bring a document."""

    lie = "empty"
    seconds = 1.0
    """Between a question and its answer."""

    def handle(self, event: Event) -> None:
        if isinstance(event, MessageReceived):
            answer = self._answer(event.message)
            if answer is not None:
                self.world.at(self.seconds, lambda: self._say(event.peer, answer))
                return
        super().handle(event)

    def _say(self, peer: int, message: Message) -> None:
        if self.is_up and self.lie != "silent":
            self.world.deliver(self, peer, message)

    def _do(self, action: Action) -> None:
        if isinstance(action, Send) and isinstance(action.message, wire.Root):
            lie = replace(action.message, root=self.world.random.randbytes(HASH_BYTES))
            action = replace(action, message=lie)
        super()._do(action)

    def _answer(self, question: Message) -> Message | None:
        match question:
            case wire.AskTree(number, _, indexes):
                hashes = self.world.random.randbytes(HASH_BYTES * FAN_OUT * len(indexes))
                return self._lied(wire.Tree(number, hashes))
            case wire.AskBuckets(number, indexes):
                has_some = self.lie in ("invented", "known")
                names = invented_names("lies", indexes)[:20] if has_some else []
                return self._lied(wire.Buckets(number, tuple(map(self._invented, names))))
            case wire.AskUpdates(number, _):
                return self._lied(wire.Updates(number, 1, b"", self._batch))
            case wire.AskRange(number, first, _, tree_key):
                bucket = max(first, int.from_bytes(tree_key[:2], "big") + 1 if tree_key else 0)
                further = bucket.to_bytes(2, "big") if bucket < BUCKETS else b""
                return self._lied(wire.Updates(number, 0, further, self._batch))
            case _:
                return None

    @property
    def _batch(self) -> bytes:
        return KNOWN if self.lie == "known" else NOTHING

    def _lied(self, answer: Any) -> Message:
        return wire.Unanswered(answer.number) if self.lie == "unanswered" else answer

    def _invented(self, name: str) -> BucketEntry:
        return BucketEntry("lies", name, 1, False, self.world.random.randbytes(16))


class LyingWorld(World):
    """The first nodes are liars."""

    def __init__(self, rng: random.Random, honest: int, lies: Sequence[str]) -> None:
        """One liar for each of `lies`. Nobody is connected."""
        self.liars = len(lies)
        super().__init__(rng, self.liars + honest, Weather(delay=0.005), set())
        for node, lie in zip(self.nodes, lies, strict=False):
            node.lie = lie  # type: ignore[attr-defined]

    def node_type(self, world: World, index: int) -> Node:  # type: ignore[override]
        return Liar(world, index) if index < self.liars else Node(world, index)

    @property
    def honest(self) -> list[Node]:
        return self.nodes[self.liars :]
