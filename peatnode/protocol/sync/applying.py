"""Batches that peers sent, until the store has applied them: they stay packed until there is room to unpack them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from peatnode.model.documents import DocumentUpdate
from peatnode.model.peer_limits import (
    MAX_PACKED_BYTES,
    MAX_PEER_PACKED_BYTES,
    MAX_PEER_UNPACKED_BYTES,
    MAX_UNPACKED_BYTES,
    SURE_PACKED_BYTES,
)
from peatnode.model.sync import ApplyUpdates, StoreAnswer
from peatnode.protocol.sync.ask import StoreAsker
from peatnode.protocol.wire.batches import memory_of, unpack_updates

DocumentUpdates = tuple[DocumentUpdate, ...]
Take = Callable[[DocumentUpdates], DocumentUpdates]
Then = Callable[[DocumentUpdates, StoreAnswer | None], None]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One batch, and what is to be done with it."""

    peer: int
    """Number of the connection that sent it."""
    group: Hashable
    """The batches of one group reach the store in their order."""
    origin: str
    """Instance of the peer."""
    node_id: str
    packed: bytes
    take: Take
    """Called with what is in the batch; returns what the store is asked to apply. Nothing: the batch is done."""
    then: Then
    """Called with what was applied, and the answer of the store."""


class Applying:
    """The room for unpacked batches, shared by the pushes and pulls of all peers.

    A small batch may unpack to 40 MiB, so a peer could fill the memory by a few kilobytes. Nobody holds room while it
    waits for more, so nobody waits for ever: the room of a batch is free as soon as the store has answered.
    """

    def __init__(
        self,
        ask_store: StoreAsker,
        on_behalf_of: Callable[[int, Callable[[], None]], None],
        limit: int = MAX_UNPACKED_BYTES,
    ) -> None:
        """`ask_store` always answers, also when the peer has gone. `on_behalf_of` runs a step for a peer that is
        connected: a PeerFault ends that connection."""
        self._ask_store = ask_store
        self._on_behalf_of = on_behalf_of
        self._limit = limit
        self._waiting: list[tuple[Batch, int]] = []
        """With the memory that each takes."""
        self._packed_of: Counter[int] = Counter()
        self._unpacked_of: Counter[Hashable] = Counter()
        self.packed = 0
        """Bytes that wait."""
        self.unpacked = 0
        """Bytes that are with the store."""
        self.dropped = 0
        """Batches for which there was no room."""

    def apply(self, batch: Batch) -> bool:
        """Applies a batch now or later. False: too much waits, and it is dropped. Raises PeerFault if it is
        malformed."""
        memory = memory_of(batch.packed)
        if not self._waiting and self._has_room(batch, memory):
            self._start(batch, memory)
            return True
        size = len(batch.packed)
        before = self._packed_of[batch.peer]
        is_small = before + size <= SURE_PACKED_BYTES
        if not is_small and (
            before + size > MAX_PEER_PACKED_BYTES or self.packed + size > MAX_PACKED_BYTES
        ):
            self.dropped += 1
            return False
        self._waiting.append((batch, memory))
        self._count(batch, size)
        self._advance()
        return True

    def drop(self, group: Hashable) -> None:
        """Drops what waits of a group."""
        self._drop(lambda batch: batch.group == group)

    def leave(self, peer: int) -> None:
        """A connection has ended: what waits is dropped. What the store has is applied."""
        self._drop(lambda batch: batch.peer == peer)

    def _drop(self, is_dropped: Callable[[Batch], bool]) -> None:
        for waiting in [waiting for waiting in self._waiting if is_dropped(waiting[0])]:
            self._take_out(waiting)
        self._advance()

    def _take_out(self, waiting: tuple[Batch, int]) -> None:
        self._waiting.remove(waiting)
        self._count(waiting[0], -len(waiting[0].packed))

    def _count(self, batch: Batch, size: int) -> None:
        self.packed += size
        self._packed_of[batch.peer] += size
        if not self._packed_of[batch.peer]:
            del self._packed_of[batch.peer]

    def _has_room(self, batch: Batch, memory: int) -> bool:
        own = self._unpacked_of[batch.group]
        if own and own + memory > MAX_PEER_UNPACKED_BYTES:
            return False
        return not self.unpacked or self.unpacked + memory <= self._limit

    def _advance(self) -> None:
        """Starts what may start, in order. A group that has to wait for its own batches keeps nobody else back."""
        while (found := self._next()) is not None:
            self._take_out(found)
            self._on_behalf_of(found[0].peer, lambda: self._start(*found))  # called at once

    def _next(self) -> tuple[Batch, int] | None:
        held: set[Hashable] = set()
        for batch, memory in self._waiting:
            if batch.group in held:
                continue
            if self._has_room(batch, memory):
                return batch, memory
            own = self._unpacked_of[batch.group]
            if not own or own + memory <= MAX_PEER_UNPACKED_BYTES:
                return None  # it waits for the room of all: who comes later does not take it away
            held.add(batch.group)
        return None

    def _start(self, batch: Batch, memory: int) -> None:
        updates = batch.take(unpack_updates(batch.packed))
        if not updates:
            return
        peer, group, then = batch.peer, batch.group, batch.then
        self.unpacked += memory
        self._unpacked_of[group] += memory

        def on_answer(answer: StoreAnswer | None) -> None:
            self.unpacked -= memory
            self._unpacked_of[group] -= memory
            if not self._unpacked_of[group]:
                del self._unpacked_of[group]
            self._on_behalf_of(peer, lambda: then(updates, answer))
            self._advance()

        self._ask_store(ApplyUpdates(updates, batch.origin, batch.node_id), on_answer)
