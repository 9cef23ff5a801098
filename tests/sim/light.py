"""The light stand-in as a store of a simulated node: everything is on disk at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from peatnode.ipc.messages import ChangesSeen
from peatnode.model.documents import DocumentUpdate
from peatnode.model.sync import StoreAnswer, StoreQuestion
from tests.sim.replicas import StoreHost
from tests.sim.standin import Key, StandinStore
from tests.support.feed_changes import change_of
from workers.store.peers.deletion_guard import DeletionGuard


class LightStore(StandinStore):
    """As ReplicaStore, with documents that are state vectors alone. It loses nothing."""

    def __init__(self, index: int, host: StoreHost, written: list[DocumentUpdate]) -> None:
        super().__init__(host.read_clock)
        self._index = index
        self._host = host
        self._written = written
        self.generation = 1
        """It is kept: nothing is lost."""
        self.openings = 0
        self._limit = 0
        self.is_open = True

    def limit_deletions(self, limit: int) -> None:
        """From now on a peer may end so many live documents in a minute."""
        self._limit = limit
        self.guard = DeletionGuard(limit)

    @property
    def _client(self) -> int:
        return (self._index + 1) * 1000 + self.openings

    @property
    def is_idle(self) -> bool:
        return self.is_open

    def open(self) -> None:
        self.is_open = True
        self.openings += 1
        self.guard = DeletionGuard(self._limit, self.guard.paused)

    def crash(self) -> None:
        self.is_open = False

    def ask(self, question: StoreQuestion, reply: Callable[[StoreAnswer | None], None]) -> None:
        before = self.sequence
        reply(self.answer(question))
        if self.sequence != before:
            self._host.committed()

    def write_of_client(
        self, key: Key, then: Callable[[DocumentUpdate, int], None] = lambda update, sequence: None
    ) -> None:
        update = self.write(key, self._client)
        self._written.append(update)
        self._host.committed()
        then(update, self.sequence)

    def accept_leaps(self) -> None:
        super().accept_leaps()
        self._host.committed()

    def delete_of_client(self, key: Key) -> None:
        update = self.delete(key)
        if update is not None:
            self._written.append(update)
            self._host.committed()

    def events_after(self, cursor: int) -> Iterator[ChangesSeen]:
        changes = [
            change_of(cursor + 1 + i, origin, update)
            for i, (update, origin) in enumerate(self.feed[cursor:])
        ]
        if changes:
            yield ChangesSeen(tuple(changes), self.sequence)

    def lives(self, key: Key) -> bool:
        """Whether what was first written under a name is still there."""
        document = self.documents.get(key)
        return document is not None and document.incarnation == 1 and not document.is_deleted

    def missing(self) -> list[DocumentUpdate]:
        """What was acknowledged and is not in here."""
        return [update for update in self._written if not self.holds(update)]
