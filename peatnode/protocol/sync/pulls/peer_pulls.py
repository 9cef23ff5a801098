"""The pulls from one peer: at most one at a time, its questions to the peer, and where the next one begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from peatnode.model.sync import AppliedReply, StoreAnswer, StoreQuestion
from peatnode.protocol.sync.applying import Applying, Batch, DocumentUpdates, Take, Then
from peatnode.protocol.sync.ask import PeerAnswer, StoreAsker
from peatnode.protocol.sync.pulls.progress import FetchRate
from peatnode.protocol.sync.pulls.pull import DocumentKey, Pull, Refuse
from peatnode.protocol.sync.pulls.turns import PullTurns
from peatnode.protocol.sync.refusals import Comparisons, Refusals, RefusedDocument
from peatnode.protocol.wire.messages import Buckets, Message, Tree, Unanswered, Updates

LONGEST_WAIT = 5.0
"""Seconds between two pulls that bring nothing, at most."""


SETTLED_SECONDS = 600.0
"""A difference of which a whole comparison found nothing to fetch is not compared again for this time, as long as both
roots and the refusals stay: the peer has what is refused here, or lacks something."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """What two stores differed by when a pull began."""

    own: bytes
    theirs: bytes
    refusals: int
    """`Refusals.changes`"""


class PullHost(Protocol):
    """What the pulls of all sessions share; SyncMachine implements it."""

    now: float
    refusals: Refusals
    comparisons: Comparisons
    turns: PullTurns
    applying: Applying


class PeerPulls:
    """The pull from one peer, if one is in progress. It has its place among the turns of the node."""

    def __init__(
        self,
        node: PullHost,
        ask_store: StoreAsker,
        send: Callable[[Message], None],
        refuse: Refuse,
        peer: int,
        origin: str,
        node_id: str,
        compare_after: Callable[[float], None],
    ) -> None:
        """`compare_after`: compares roots after so many seconds."""
        self._node = node
        self._ask_store = ask_store
        self._send = send
        self._refuse = refuse
        self._peer = peer
        self._origin = origin
        self._node_id = node_id
        self._compare_after = compare_after
        self._questions: dict[int, Callable[[PeerAnswer | None], None]] = {}
        self._last_question = 0
        self._resume_at = b""
        """The tree key at which the next comparison begins."""
        self._compared: _Difference | None = None
        self._settled: _Difference | None = None
        self._settled_until = 0.0
        self._refused: tuple[RefusedDocument, ...] = ()
        self.pull: Pull | None = None
        self.last_at: float | None = None
        """When the last pull began; None: never."""
        self.rate = FetchRate()
        """How fast documents come by pulls from this peer."""
        node.turns.join(self)

    @property
    def waits(self) -> bool:
        """Whether the roots differ, but the pull waits for that of another peer."""
        return self._node.turns.waits(self)

    @property
    def is_settled(self) -> bool:
        """Whether everything that this node would fetch from the peer is here, as last compared."""
        return self._settled is not None and self._node.now < self._settled_until

    @property
    def refused(self) -> tuple[RefusedDocument, ...]:
        """What is all that the peer has and this node does not take, while that is settled, from whomever it came."""
        return self._refused if self.is_settled else ()

    def consider(self, root: bytes, theirs: bytes, documents: int) -> bool:
        """The roots differ: a pull begins if it is the turn of this peer. Returns whether it has to wait.

        `documents`: how many one of the two nodes has.
        """
        difference = _Difference(root, theirs, self._node.refusals.changes)
        if self.is_settled and difference == self._settled:
            self.stand_back()
            return False
        self._settled = None
        if not self._node.turns.may_begin(self, self._node.now):
            return True
        pull = self._open(has_turn=True)
        self._compared = difference
        pull.start(root, self._resume_at, documents)
        self._settle()
        return False

    def stand_back(self) -> None:
        """The roots differ, but may become equal without a pull."""
        self._node.turns.stand_back(self, self._node.now)

    def became_equal(self) -> None:
        self._settled = None
        self._node.turns.became_equal(self, self._node.now)

    def leave(self) -> None:
        """The connection has ended."""
        self._node.turns.leave(self, self._node.now)

    def repair(self, documents: list[DocumentKey]) -> None:
        """Fetches the missing parts of these documents, after a push had a gap."""
        (self.pull or self._open(has_turn=False)).repair(documents)
        self._settle()

    def compare_again(self) -> None:
        self._compare_after(0.0)

    def _open(self, *, has_turn: bool) -> Pull:
        node = self._node
        self.last_at = node.now
        self.rate.begin(node.now)
        self._compared = None
        self.pull = Pull(
            self._ask_own_store,
            self._ask_peer,
            node.refusals,
            node.comparisons,
            self._refuse,
            self._apply,
            self._node_id,
        )
        node.turns.began(self, node.now, has_turn=has_turn)
        return self.pull

    def _ask_own_store(
        self, question: StoreQuestion, then: Callable[[StoreAnswer | None], None]
    ) -> None:
        pull = self.pull

        def on_answer(answer: StoreAnswer | None) -> None:
            if self.pull is pull:
                then(answer)
                self._settle()

        self._ask_store(question, on_answer)

    def _apply(self, packed: bytes, take: Take, then: Then) -> bool:
        """Applies a batch as soon as there is room. False: it was dropped. So is what waits when the pull ends."""
        pull, node = self.pull, self._node

        def take_updates(updates: DocumentUpdates) -> DocumentUpdates:
            taken = take(updates)
            if not taken and pull is not None:
                pull.advance()
                self._settle()
            return taken

        def applied(updates: DocumentUpdates, answer: StoreAnswer | None) -> None:
            if pull is None or self.pull is not pull:
                return
            before = pull.applied
            if isinstance(answer, AppliedReply):
                self.rate.add(len(answer.outcomes), node.now)
            then(updates, answer)
            if pull.applied > before:
                node.turns.applied(self, node.now)
            self._settle()

        batch = Batch(self._peer, pull, self._origin, self._node_id, packed, take_updates, applied)
        return node.applying.apply(batch)

    def _ask_peer(
        self, make: Callable[[int], Message], then: Callable[[PeerAnswer | None], None]
    ) -> None:
        self._last_question += 1
        self._questions[self._last_question] = then
        self._send(make(self._last_question))

    def receive_answer(self, answer: Tree | Buckets | Updates | Unanswered) -> None:
        """Raises PeerFault if it is no answer to its question. One to an earlier pull is dropped."""
        then = self._questions.pop(answer.number, None)
        if then is not None:
            then(None if isinstance(answer, Unanswered) else answer)
            self._settle()

    def _settle(self) -> None:
        if self.pull is not None and self.pull.is_done:
            self._resume_at = b""
            self._note_settled(self.pull)
            self._end(self.pull)

    def _note_settled(self, pull: Pull) -> None:
        """Notes that a comparison of everything has found nothing to fetch."""
        if not pull.progress.found and not pull.has_failed and self._compared is not None:
            self._settled = self._compared
            self._settled_until = self._node.now + SETTLED_SECONDS
            self._refused = tuple(pull.refused.values())

    def end_pull(self) -> None:
        """What was applied stays. If it was nothing, the next pull compares on from where this one was."""
        if self.pull is not None:
            self._resume_at = b"" if self.pull.applied else self.pull.reached
            self._end(self.pull)

    def _end(self, pull: Pull) -> None:
        turns = self._node.turns
        self.pull = None
        self._questions.clear()
        self._node.applying.drop(pull)
        turns.pull_ended(self, self._node.now, brought=pull.applied > 0)
        rounds = min(max(turns.fruitless(self), int(pull.has_failed)), 5)
        self._compare_after(min(LONGEST_WAIT, 0.25 * 2.0**rounds) if rounds else 0.0)
