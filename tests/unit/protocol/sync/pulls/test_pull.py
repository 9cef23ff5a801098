"""A pull finds documents that differ though nothing is missing, and fetches each pair as a whole once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from peatnode.documents.replica.index.hash_tree import bucket_of
from peatnode.model.documents import BucketEntry, DocumentUpdate, Outcome, Wanted
from peatnode.model.sync import (
    AppliedReply,
    BucketsReply,
    ReadBuckets,
    ReadTree,
    ReadVectors,
    StoreAnswer,
    StoreQuestion,
    TreeReply,
    VectorsReply,
)
from peatnode.model.tree import BUCKETS, EMPTY_HASH, FAN_OUT, HASH_BYTES, LEVELS
from peatnode.protocol.sync.applying import Take, Then
from peatnode.protocol.sync.ask import PeerAnswer
from peatnode.protocol.sync.pulls.pull import Pull
from peatnode.protocol.sync.pulls.steps import take_wanted
from peatnode.protocol.sync.refusals import MAX_COMPARISONS, Comparisons, Refusals
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates, unpack_updates
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import (
    AskBuckets,
    AskTree,
    AskUpdates,
    Buckets,
    Message,
    Tree,
    Updates,
)
from tests.support.placed_names import invented_names, position_of

REMOTE, LOCAL = b"r" * 16, b"l" * 16
VECTOR = b"\1\5\7"
WHOLE = DocumentUpdate("notes", "one", 1, False, 0.0, b"all of it")


class DifferingDocument:
    """One bucket with one document that differs on both sides, and what a pull asks about it."""

    def __init__(self) -> None:
        self.comparisons = Comparisons()
        self.refusals = Refusals()
        self.local = LOCAL
        self.remote_id = "one"
        self.difference: DocumentUpdate | None = None
        self.outcome = Outcome.KNOWN
        self.wanted: list[Wanted] = []
        self.applied: list[DocumentUpdate] = []
        self.refused: list[str] = []

    def pull(self) -> Pull:
        """Runs a whole pull."""
        self.wanted.clear()
        self.applied.clear()
        pull = Pull(
            self._ask_store,
            self._ask_peer,
            self.refusals,
            self.comparisons,
            lambda update, fp, reason: self.refused.append(reason),
            self._apply,
        )
        pull.start(b"x" * HASH_BYTES)
        assert pull.is_done
        return pull

    def _ask_peer(
        self, make: Callable[[int], Message], then: Callable[[PeerAnswer | None], None]
    ) -> None:
        match make(1):
            case AskTree(_, level, indexes):
                above = bucket_of(position_of("notes", "one")) // FAN_OUT ** (LEVELS - level - 1)
                children = [p * FAN_OUT + i for p in indexes for i in range(FAN_OUT)]
                hashes = [b"r" * HASH_BYTES if c == above else EMPTY_HASH for c in children]
                then(Tree(1, b"".join(hashes)))
            case AskBuckets():
                then(Buckets(1, (BucketEntry("notes", self.remote_id, 1, False, REMOTE),)))
            case AskUpdates(_, wanted):
                self.wanted += wanted
                found = WHOLE if not wanted[0].state_vector else self.difference
                then(Updates(1, 1, b"", pack_updates((found,) if found else ())))

    def _ask_store(
        self, question: StoreQuestion, then: Callable[[StoreAnswer | None], None]
    ) -> None:
        match question:
            case ReadTree(_, indexes):
                then(TreeReply((b"l" * HASH_BYTES,) * len(indexes), 1))
            case ReadBuckets():
                then(BucketsReply((BucketEntry("notes", "one", 1, False, self.local),), b""))
            case ReadVectors():
                then(VectorsReply((Wanted("notes", "one", 1, VECTOR),)))

    def _apply(self, packed: bytes, take: Take, then: Then) -> bool:
        updates = take(unpack_updates(packed))
        if updates:
            self.applied += updates
            then(updates, AppliedReply((self.outcome,), ("no",), 1))
        return True


USUAL = [Wanted("notes", "one", 1, VECTOR)]
AS_A_WHOLE = [Wanted("notes", "one", 1, b"")]


def test_vectors_that_come_in_parts_are_all_asked_for() -> None:
    """A reply of the store has a limit in bytes."""
    read: list[int] = []
    asked: list[tuple[Wanted, ...]] = []

    def ask_store(question: StoreQuestion, then: Callable[[StoreAnswer | None], None]) -> None:
        assert isinstance(question, ReadVectors)
        read.append(len(question.documents))
        then(VectorsReply(tuple(Wanted(*names, 1, VECTOR) for names in question.documents[:2])))

    def ask_peer(make: Callable[[int], Message], then: Callable[[PeerAnswer | None], None]) -> None:
        message = make(1)
        assert isinstance(message, AskUpdates)
        asked.append(message.wanted)
        then(Updates(1, len(message.wanted), b"", pack_updates(())))

    def apply(packed: bytes, take: Take, then: Then) -> bool:
        assert not take(unpack_updates(packed))
        return True

    pull = Pull(ask_store, ask_peer, Refusals(), Comparisons(), lambda *_: None, apply)
    pull.repair([("notes", str(number)) for number in range(5)])
    assert pull.is_done
    assert read == [5, 3, 1]
    assert [w.id for wanted in asked for w in wanted] == list("01234")


@pytest.mark.parametrize("has_structs", [False, True])
def test_a_pair_that_is_found_twice_is_compared_once(has_structs: bool) -> None:
    scene = DifferingDocument()
    scene.difference = WHOLE if has_structs else None
    scene.pull()
    assert scene.wanted == USUAL
    assert not any(update.is_whole for update in scene.applied)
    scene.pull()
    assert scene.wanted == AS_A_WHOLE
    assert [update.is_whole for update in scene.applied] == [True]
    for _ in range(3):
        scene.pull()
        assert scene.wanted == USUAL


def test_a_pair_is_not_compared_while_it_changes_or_while_pulls_bring_something() -> None:
    scene = DifferingDocument()
    for number in range(5):
        scene.local = bytes([number]) * 16
        scene.pull()
        assert scene.wanted == USUAL
    scene.local, scene.difference, scene.outcome = b"z" * 16, WHOLE, Outcome.APPLIED
    for _ in range(3):
        scene.pull()
        assert scene.wanted == USUAL


def test_what_could_not_be_joined_is_refused_and_not_fetched_again() -> None:
    scene = DifferingDocument()
    scene.pull()
    scene.outcome = Outcome.REFUSED
    scene.pull()
    assert scene.refused == ["no"]
    scene.pull()
    assert scene.wanted == USUAL


def test_a_comparison_that_has_to_wait_is_made_again() -> None:
    scene = DifferingDocument()
    scene.pull()
    scene.outcome = Outcome.GAP  # own writes are withdrawn first
    for _ in range(2):
        scene.pull()
        assert scene.wanted == AS_A_WHOLE


def test_pairs_are_remembered_within_a_bound() -> None:
    comparisons = Comparisons()
    pairs = [("notes", str(number), REMOTE, LOCAL) for number in range(MAX_COMPARISONS + 2)]
    for pair in pairs:
        comparisons.brought_nothing(pair)
    assert [comparisons.is_due(pair) for pair in pairs[:3]] == [False, False, True]
    comparisons.compared(pairs[2])
    comparisons.brought_nothing(pairs[2])
    assert not comparisons.is_due(pairs[2])


# --- peers that bring nothing


class EmptyPeer:
    """A peer of which everything differs, and that has nothing. It answers so many questions, then it is silent."""

    def __init__(self, answers: int, most_found: int = 0) -> None:
        self.answers = answers
        self.most_found = most_found
        """Of the pull. 0: the peer names no documents; otherwise two in each bucket, and it never delivers them."""
        self.listed: list[int] = []
        self.questions: list[int] = []
        self.documents = 0
        self.most_seen = 0
        """Documents that the pull knew of at the same time."""

    def pull(self, first: bytes = b"") -> Pull:
        def refuse(update: DocumentUpdate, fp: bytes, reason: str) -> None:
            raise AssertionError(reason)

        def apply(packed: bytes, take: Take, then: Then) -> bool:
            assert not take(unpack_updates(packed))
            return True

        pull = Pull(
            self._ask_store,
            self._ask_peer,
            Refusals(),
            Comparisons(),
            refuse,
            apply,
            most_found=self.most_found,
        )
        self.waiting: deque[Callable[[], None]] = deque()
        pull.start(b"x" * HASH_BYTES, first, self.documents)
        while self.waiting and self.answers:
            self.answers -= 1
            self.waiting.popleft()()
            self.most_seen = max(self.most_seen, len(pull.differing))
        return pull

    def _ask_peer(
        self, make: Callable[[int], Message], then: Callable[[PeerAnswer | None], None]
    ) -> None:
        question = make(1)
        if isinstance(question, AskBuckets):
            self.listed += question.indexes
            self.questions.append(len(question.indexes))
        self.waiting.append(lambda: then(self._answer(question)))

    def _answer(self, question: Message) -> PeerAnswer | None:
        match question:
            case AskTree(_, _, indexes):
                return Tree(1, b"r" * (HASH_BYTES * FAN_OUT * len(indexes)))
            case AskBuckets(_, indexes):
                names = invented_names("no", indexes) if self.most_found else []
                return Buckets(1, tuple([BucketEntry("no", n, 1, False, REMOTE) for n in names]))
            case AskUpdates(_, wanted):
                return Updates(1, len(wanted), b"", pack_updates(()))
        raise AssertionError(question)

    def _ask_store(
        self, question: StoreQuestion, then: Callable[[StoreAnswer | None], None]
    ) -> None:
        match question:
            case ReadTree(_, indexes):
                then(TreeReply((b"l" * HASH_BYTES,) * len(indexes), 1))
            case ReadBuckets():
                then(BucketsReply((), b""))


def test_a_comparison_that_was_ended_goes_on_where_it_was_until_all_is_compared() -> None:
    """A long comparison of an honest peer may take several pulls, and each of them compares something new."""
    peer = EmptyPeer(0)
    first, listed = b"", set[int]()
    for _ in range(8):
        peer.answers = 400
        pull = peer.pull(first)
        first = pull.reached
        listed.update(peer.listed)
        if len(listed) == BUCKETS:
            break
        assert len(peer.listed) <= 400 * 64, "each pull is too short to compare all"
        peer.listed.clear()
    assert len(listed) == BUCKETS


def test_a_pull_begins_where_it_is_told_and_ends_with_what_is_before() -> None:
    peer = EmptyPeer(10**6)
    pull = peer.pull((50_001).to_bytes(2))
    assert pull.is_done
    assert sorted(peer.listed) == list(range(BUCKETS))
    after = BUCKETS - 50_001
    assert min(peer.listed[:after]) >= 50_001 - FAN_OUT, "a node of the tree is not cut"
    assert max(peer.listed[after + FAN_OUT :]) <= 50_001


def test_a_peer_that_names_documents_without_end_does_not_fill_the_memory() -> None:
    peer = EmptyPeer(60, most_found=500)
    pull = peer.pull()
    while pull.differing and peer.waiting:
        peer.waiting.popleft()()
    kept = (pull._fingerprints, pull._pairs, pull._whole, pull._wanted, pull._vectors)
    assert max(len(one) for one in kept) <= 500 == peer.most_seen
    assert not pull.applied


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[2J", "", "x" * 300])
def test_an_entry_of_a_name_that_no_document_can_have_is_the_fault_of_the_peer(name: str) -> None:
    """The status shows the names of documents that differ."""
    scene = DifferingDocument()
    scene.remote_id = name
    with pytest.raises(PeerFault):
        scene.pull()


@pytest.mark.parametrize(
    ("documents", "at_once"), [(0, 64), (10**6, 64), (2**24, 16), (2**28, 1), (2**40, 1)]
)
def test_fewer_buckets_are_asked_for_in_a_large_store(documents: int, at_once: int) -> None:
    peer = EmptyPeer(100)
    peer.documents = documents
    peer.pull()
    assert max(peer.questions) == at_once


def test_a_question_has_no_more_state_vectors_than_a_peer_takes() -> None:
    queue = deque([Wanted("notes", f"n{n}", 1, bytes(100_000)) for n in range(6)])
    queue.append(Wanted("notes", "large", 1, bytes(1_500_000)))
    queue.extend(Wanted("notes", f"s{n}", 1, bytes(10)) for n in range(600))
    asked = []
    while queue:
        taken = take_wanted(queue)
        asked.append(len(taken))
        content = wire.encode(wire.AskUpdates(1, tuple(taken)))
        assert len(content) < wire.AskUpdates.MAX_BYTES
    assert asked == [6, 1, 500, 100]
