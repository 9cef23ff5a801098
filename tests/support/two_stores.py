"""Two stores in memory, of which one pulls from the other one. Everything happens at once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import msgpack

from peatnode.model.documents import DocumentUpdate
from peatnode.model.sync import AppliedReply, ApplyUpdates, ReadBuckets, StoreAnswer, StoreQuestion
from peatnode.protocol.sync.answer_peer import PeerQuestions
from peatnode.protocol.sync.applying import Take, Then
from peatnode.protocol.sync.ask import PeerAnswer
from peatnode.protocol.sync.pulls.pull import Pull
from peatnode.protocol.sync.refusals import Comparisons, Refusals, RefusedDocument
from peatnode.protocol.wire.batches import unpack_updates
from peatnode.protocol.wire.messages import AskBuckets, Buckets, Message
from tests.sim.standin import StandinStore


class TwoStores:
    """A store that pulls from another one, of which each read lists `most_listed` entries."""

    def __init__(self, most_listed: int) -> None:
        self.own, self.theirs = StandinStore(), StandinStore()
        self.own.most_listed = self.theirs.most_listed = most_listed
        self.refusals = Refusals()
        self.listed: dict[tuple[str, str], None] = {}
        """What they have listed, in that order."""
        self.longest = 0
        """Entries in one answer."""
        self.reads: Counter[StandinStore] = Counter()
        """Of entries."""
        self.asked: list[AskBuckets] = []
        self.questions: Counter[str] = Counter()
        """By type."""
        self.answers = 10**6
        self._last = 0
        self._then: dict[int, Callable[[PeerAnswer | None], None]] = {}
        self._answers: deque[Message] = deque()
        self._questions = PeerQuestions(self._asker(self.theirs), self._answers.append)

    def pull(self, first: bytes = b"") -> Pull:
        """Runs a pull until it is done, or as many answers have come as shall come."""
        pull = Pull(
            self._asker(self.own),
            self._ask_peer,
            self.refusals,
            Comparisons(),
            self._refuse,
            self._apply,
        )
        self._answers.clear()
        pull.start(self.own.root, first)
        while self._answers and self.answers:
            self.answers -= 1
            answer = self._answers.popleft()
            if isinstance(answer, Buckets):
                self.listed.update({(e.collection, e.id): None for e in answer.entries})
                self.longest = max(self.longest, len(answer.entries))
            self._then.pop(answer.number)(answer)  # type: ignore[attr-defined, arg-type]
        return pull

    def differ(self) -> set[tuple[str, str]]:
        return {
            key
            for key, document in self.theirs.documents.items()
            if key not in self.own.documents
            or self.own.documents[key].fingerprint != document.fingerprint
        }

    def _asker(
        self, store: StandinStore
    ) -> Callable[[StoreQuestion, Callable[[StoreAnswer | None], None]], None]:
        def ask(question: StoreQuestion, then: Callable[[StoreAnswer | None], None]) -> None:
            self.reads[store] += isinstance(question, ReadBuckets)
            then(store.answer(question))

        return ask

    def _ask_peer(
        self, make: Callable[[int], Message], then: Callable[[PeerAnswer | None], None]
    ) -> None:
        self._last += 1
        message = make(self._last)
        self.questions[type(message).__name__] += 1
        if isinstance(message, AskBuckets):
            self.asked.append(message)
        self._then[self._last] = then
        self._questions.receive(message)  # type: ignore[arg-type]

    def _refuse(self, update: DocumentUpdate, fingerprint: bytes, reason: str) -> None:
        refusal = RefusedDocument(update.collection, update.id, "peer", 0.0, reason)
        self.refusals.add(refusal, fingerprint)

    def _apply(self, packed: bytes, take: Take, then: Then) -> bool:
        if updates := take(unpack_updates(packed)):
            answer = self.own.answer(ApplyUpdates(updates, "peer"))
            assert isinstance(answer, AppliedReply)
            then(updates, answer)
        return True


def write(store: StandinStore, name: str, clock: int = 1) -> None:
    ranges = msgpack.packb([[1, 0, clock]])
    store.apply(DocumentUpdate("notes", name, 1, False, 0.0, ranges), "")
