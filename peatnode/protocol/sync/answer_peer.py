"""Answers the questions of a peer from the local store, a limited number at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from peatnode.model.peer_limits import (
    ANSWER_BYTES,
    MAX_INDEXES,
    MAX_QUESTION_BYTES,
    MAX_QUESTIONS_WAITING,
    MAX_WANTED,
)
from peatnode.model.sync import (
    BucketsReply,
    ReadDifferences,
    ReadRange,
    ReadTree,
    StoreAnswer,
    TreeReply,
    UpdatesReply,
)
from peatnode.model.tree import BUCKETS, FAN_OUT, LEVELS
from peatnode.protocol.sync.ask import BucketListing, StoreAsker
from peatnode.protocol.wire.batches import pack_updates
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import (
    AskBuckets,
    AskRange,
    AskTree,
    AskUpdates,
    Buckets,
    Message,
    Tree,
    Unanswered,
    Updates,
)

MAX_AT_ONCE = 4
"""Questions of one peer that the store works on at the same time."""

Asked = AskTree | AskBuckets | AskUpdates | AskRange


class PeerQuestions:
    """The questions of one peer. The store works on MAX_AT_ONCE of them, and at most MAX_QUESTIONS_WAITING wait."""

    def __init__(self, ask_store: StoreAsker, send: Callable[[Message], None]) -> None:
        self._ask_store = ask_store
        self._send = send
        self._in_progress = 0
        self._waiting: deque[tuple[Asked, int]] = deque()
        """With what each takes in memory."""
        self._bytes = 0
        """Memory of the questions that are in progress or wait."""

    def receive(self, question: Asked) -> None:
        """Queues a question. Raises PeerFault if it is malformed, or if too many wait."""
        _check(question)
        size = _memory_of(question)
        if len(self._waiting) >= MAX_QUESTIONS_WAITING:
            raise PeerFault("too many questions")
        if self._bytes > 0 and self._bytes + size > MAX_QUESTION_BYTES:
            self._send(
                Unanswered(question.number)
            )  # documents with the largest vectors need that, too
            return
        self._bytes += size
        self._waiting.append((question, size))
        self._advance()

    def leave(self) -> None:
        """The connection has ended."""
        self._waiting.clear()

    def _advance(self) -> None:
        while self._waiting and self._in_progress < MAX_AT_ONCE:
            self._in_progress += 1
            self._start(*self._waiting.popleft())

    def _end(self, size: int, answer: Message) -> None:
        self._send(answer)
        self._in_progress -= 1
        self._bytes -= size
        self._advance()

    def _start(self, question: Asked, size: int) -> None:
        number = question.number
        match question:
            case AskTree():
                children = tuple(
                    [p * FAN_OUT + i for p in question.indexes for i in range(FAN_OUT)]
                )
                self._ask_store(
                    ReadTree(question.level + 1, children),
                    lambda a: self._tree_read(number, size, a),
                )
            case AskBuckets():
                BucketListing(
                    self._ask_store,
                    question.indexes,
                    question.tree_key,
                    lambda a: self._buckets_read(number, size, a),
                )
            case AskUpdates():
                self._ask_store(
                    ReadDifferences(question.wanted, ANSWER_BYTES),
                    lambda a: self._updates_read(number, size, a),
                )
            case AskRange():
                self._ask_store(
                    ReadRange(question.first, question.last, question.tree_key, ANSWER_BYTES),
                    lambda a: self._updates_read(number, size, a),
                )

    def _tree_read(self, number: int, size: int, answer: StoreAnswer | None) -> None:
        if isinstance(answer, TreeReply):
            self._end(size, Tree(number, b"".join(answer.hashes)))
        else:
            self._end(size, Unanswered(number))

    def _buckets_read(self, number: int, size: int, answer: BucketsReply | None) -> None:
        if answer is None:
            self._end(size, Unanswered(number))
        else:
            self._end(size, Buckets(number, answer.entries, answer.next_tree_key))

    def _updates_read(self, number: int, size: int, answer: StoreAnswer | None) -> None:
        if isinstance(answer, UpdatesReply):
            batch = pack_updates(answer.updates)
            self._end(size, Updates(number, answer.answered, answer.next_tree_key, batch))
        else:
            self._end(size, Unanswered(number))


def _memory_of(question: Asked) -> int:
    """About as much as it takes in memory."""
    match question:
        case AskTree() | AskBuckets():
            return 64 + 40 * len(question.indexes)
        case AskUpdates():
            wanted = question.wanted
            return sum(300 + len(w.id) + len(w.state_vector) for w in wanted)
        case AskRange():
            return 64 + len(question.tree_key)


def _check(question: Asked) -> None:
    match question:
        case AskTree():
            is_valid = question.level < LEVELS and _are_nodes(
                question.indexes, FAN_OUT**question.level
            )
        case AskBuckets():
            is_valid = _are_nodes(question.indexes, BUCKETS)
        case AskUpdates():
            is_valid = 0 < len(question.wanted) <= MAX_WANTED
        case AskRange():
            is_valid = question.first <= question.last < BUCKETS
    if not is_valid:
        raise PeerFault("malformed question", type(question).__name__)


def _are_nodes(indexes: tuple[int, ...], count: int) -> bool:
    return 0 < len(indexes) <= MAX_INDEXES and max(indexes) < count
