"""Anti-entropy on the side that lacks documents:
finds and fetches what a peer has and the local store lacks.

Work waits in one queue for each kind of step. A step starts as soon as the limits allow, and adds work to
other queues:

    compare   compares children of tree nodes                -> compare, list; range if the subtree is empty here
    list      compares entries of buckets                    -> list, vectors, wanted
    vectors   reads local state vectors of documents         -> wanted
    wanted    asks for documents                             -> apply
    range     asks for whole subtrees                        -> range, apply
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from peatnode.documents.names import is_document_name
from peatnode.model.documents import BucketEntry, DocumentUpdate, Outcome, Wanted
from peatnode.model.peer_limits import (
    AIMED_ENTRIES,
    BUCKETS_PER_ASK,
    MAX_FOUND,
    MAX_STEPS,
    PARENTS_PER_ASK,
    WANTED_PER_ASK,
)
from peatnode.model.sync import (
    AppliedReply,
    BucketsReply,
    ReadTree,
    ReadVectors,
    StoreAnswer,
    TreeReply,
    VectorsReply,
)
from peatnode.model.tree import BUCKETS, EMPTY_HASH, FAN_OUT, HASH_BYTES, LEVELS
from peatnode.protocol.sync.applying import DocumentUpdates, Take, Then
from peatnode.protocol.sync.ask import BucketListing, PeerAnswer, PeerAsker, StoreAsker
from peatnode.protocol.sync.pulls.listing import ComparedListing
from peatnode.protocol.sync.pulls.progress import PullProgress
from peatnode.protocol.sync.pulls.steps import (
    Join,
    TreeOrder,
    bucket_of,
    check_advance,
    is_wanted,
    place_of_bucket,
    take,
    take_ascending,
    take_wanted,
)
from peatnode.protocol.sync.refusals import (
    MAX_COMPARISONS,
    Comparisons,
    Pair,
    Refusals,
    RefusedDocument,
)
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import (
    AskBuckets,
    AskRange,
    AskTree,
    AskUpdates,
    Buckets,
    Tree,
    Updates,
)

MAX_UNAPPLIED = 2
"""Batches that wait for the store. At this number the pull asks for no more documents."""

DocumentKey = tuple[str, str]
Refuse = Callable[[DocumentUpdate, bytes, str], None]
"""Called with the update, the peer's fingerprint of the document (empty: unknown) and the reason."""

Apply = Callable[[bytes, Take, Then], bool]
"""Applies a packed batch as soon as there is room. False: it was dropped."""


class Pull:
    """One round of pulling from one peer.
    It is done when no step is in progress and all queues are empty."""

    def __init__(
        self,
        ask_store: StoreAsker,
        ask_peer: PeerAsker,
        refusals: Refusals,
        comparisons: Comparisons,
        refuse: Refuse,
        apply: Apply,
        peer: str = "",
        most_found: int = MAX_FOUND,
    ) -> None:
        """`peer` is its node id."""
        self._ask_store = ask_store
        self._ask_peer = ask_peer
        self._refusals = refusals
        self._comparisons = comparisons
        self._refuse = refuse
        self._apply_batch = apply
        self._peer = peer
        self._most_found = most_found
        self._compares: deque[tuple[int, tuple[int, ...]]] = deque()
        self._buckets: deque[int] = deque()
        self._listings: deque[tuple[tuple[int, ...], bytes]] = deque()
        """Buckets of which a part is compared, and the tree key of the rest."""
        self._cut_bucket: int | None = None
        """The bucket within which the comparison began. Its first part is compared last."""
        self._vectors: deque[DocumentKey] = deque()
        self._wanted: deque[Wanted] = deque()
        self._ranges: deque[tuple[int, int, bytes]] = deque()
        self._fingerprints: dict[DocumentKey, bytes] = {}
        self._pairs: dict[DocumentKey, Pair] = {}
        """Documents that both sides have, and that differ."""
        self._whole: set[DocumentKey] = set()
        """Those that are fetched as a whole."""
        self._doubts = 0
        self._steps = 0
        self._asked_parts = 0
        """Nodes and buckets of the tree in the steps that are in progress."""
        self._unapplied = 0
        self.differing: dict[DocumentKey, None] = {}
        """Documents for which the peer has something new, until they are fetched;
        in the order of discovery."""
        self.refused: dict[DocumentKey, RefusedDocument] = {}
        """What the peer has and the local store has refused, from whomever it came. It is not fetched."""
        self.progress = PullProgress()
        self.applied = 0
        self.has_failed = False
        self._order = TreeOrder()
        self._listed_at_once = BUCKETS_PER_ASK

    def start(self, own_root: bytes, first: bytes = b"", documents: int = 0) -> None:
        """Starts to compare the whole tree, or to fetch everything if the local store is empty.

        `first`: the tree key at which the comparison begins; what is before it comes last. `documents`: about how
        many the buckets hold.
        """
        fitting = AIMED_ENTRIES * BUCKETS // max(1, documents)
        self._listed_at_once = max(1, min(BUCKETS_PER_ASK, fitting))
        self._order = TreeOrder(first)
        self.progress.unexplored = BUCKETS
        if own_root == EMPTY_HASH and not self._refusals.are_within(0, BUCKETS - 1):
            self.progress.is_whole = True
            self._ranges.append((0, BUCKETS - 1, b""))
        else:
            self._compares.append((0, (0,)))
        self.advance()

    def repair(self, documents: list[DocumentKey]) -> None:
        """Fetches the missing parts of these documents, after a push had a gap."""
        self._vectors.extend(documents)
        self.differing.update(dict.fromkeys(documents))
        self.progress.found += len(documents)
        self.advance()

    @property
    def least_differing(self) -> int:
        """Documents that differ, at least: those that are found, and one in each part of the tree that differs."""
        parents = sum(len(parents) for _, parents in self._compares)
        listings = sum(len(buckets) for buckets, _ in self._listings)
        parts = self._asked_parts + parents + len(self._buckets) + listings + len(self._ranges)
        return self.progress.pending + parts

    @property
    def reached(self) -> bytes:
        """The tree key from which the comparison is not complete."""
        place_of = self._order.place_of
        waiting = [place_of(level, parents[0]) for level, parents in self._compares]
        waiting += [place_of(LEVELS, self._buckets[0])] if self._buckets else []
        waiting += [place for _, place in self._listings]
        waiting += [place_of_bucket(first) for first, _, _ in self._ranges]
        waiting += [] if self._cut_bucket is None else [place_of_bucket(self._cut_bucket)]
        return self._order.reached(waiting)

    @property
    def expected(self) -> int:
        """Documents that are yet to come, as far as can be told."""
        return max(self.least_differing, self.progress.expected())

    @property
    def is_done(self) -> bool:
        return not self._steps and not self._unapplied and not self._has_work()

    def advance(self) -> None:
        while self._steps < MAX_STEPS and self._take_step():
            pass

    def _has_work(self) -> bool:
        return any(self._queues) or self._cut_bucket is not None

    @property
    def _queues(self) -> tuple[deque[Any], ...]:
        return (
            self._compares,
            self._buckets,
            self._listings,
            self._vectors,
            self._wanted,
            self._ranges,
        )

    def _take_step(self) -> bool:
        if self._unapplied < MAX_UNAPPLIED and (self._ranges or self._wanted):
            if self._ranges:
                self._ask_range(*self._ranges.popleft())
            else:
                self._ask_wanted(take_wanted(self._wanted))
        elif self._vectors:
            self._read_vectors(take(self._vectors, WANTED_PER_ASK))
        elif self._listings:
            self._list(*self._listings.popleft())
        elif self._buckets and (len(self._buckets) >= self._listed_at_once or not self._compares):
            self._list_next()
        elif self._compares:
            self._compare(*self._compares.popleft())
        elif self._cut_bucket is not None and not self._asked_parts:
            bucket, self._cut_bucket = self._cut_bucket, None
            self._list((bucket,), b"")
        else:
            return False
        self._steps += 1
        return True

    def _end_step(self) -> None:
        self._steps -= 1
        self.advance()

    def _fail(self) -> None:
        """Ends this round after an unanswered question.
        What was applied stays; the next round starts over."""
        self.has_failed = True
        self._cut_bucket = None
        for queue in self._queues:
            queue.clear()

    # --- compare -----------------------------------------------------------------------------------

    def _compare(self, level: int, parents: tuple[int, ...]) -> None:
        self._asked_parts += len(parents)
        self._order.asked(self._order.place_of(level, parents[0]))
        children = tuple([p * FAN_OUT + i for p in parents for i in range(FAN_OUT)])
        join = Join[StoreAnswer](
            lambda remote, local: self._compared(level + 1, children, remote, local)
        )
        self._ask_peer(lambda number: AskTree(number, level, parents), join.take_first)
        self._ask_store(ReadTree(level + 1, children), join.take_second)

    def _compared(
        self,
        level: int,
        children: tuple[int, ...],
        remote: PeerAnswer | None,
        local: StoreAnswer | None,
    ) -> None:
        self._asked_parts -= len(children) // FAN_OUT
        self._order.answered(self._order.place_of(level - 1, children[0] // FAN_OUT))
        if isinstance(remote, Tree) and isinstance(local, TreeReply):
            if len(remote.hashes) != HASH_BYTES * len(children):
                raise PeerFault("malformed answer", "not as many hashes as asked for")
            self._sort_children(level, children, remote.hashes, local.hashes)
        else:
            self._fail()
        self._end_step()

    def _sort_children(
        self, level: int, children: tuple[int, ...], remote: bytes, local: tuple[bytes, ...]
    ) -> None:
        differing: list[int] = []
        width = FAN_OUT ** (LEVELS - level)
        for position, (index, own) in enumerate(zip(children, local, strict=True)):
            hash_ = remote[position * HASH_BYTES : (position + 1) * HASH_BYTES]
            if hash_ in (own, EMPTY_HASH):
                self.progress.unexplored -= width
                continue
            first, last = index * width, (index + 1) * width - 1
            if own == EMPTY_HASH and not self._refusals.are_within(first, last):
                self._add_range(first, last)
            else:
                differing.append(index)
        differing = self._order.sorted(level, differing)
        if level == LEVELS:
            self._buckets.extend(differing)
            return
        for start in range(0, len(differing), PARENTS_PER_ASK):
            self._compares.append((level, tuple(differing[start : start + PARENTS_PER_ASK])))

    def _add_range(self, first: int, last: int) -> None:
        if self._ranges and self._ranges[-1][1] == first - 1:
            self._ranges[-1] = (self._ranges[-1][0], last, self._ranges[-1][2])
        else:
            self._ranges.append((first, last, b""))

    # --- list --------------------------------------------------------------------------------------

    def _list_next(self) -> None:
        """The comparison may have begun within the first bucket."""
        buckets = take_ascending(self._buckets, self._listed_at_once)
        place = self._order.place_of(LEVELS, buckets[0])
        if place == place_of_bucket(buckets[0]):
            self._list(buckets, b"")
            return
        self._cut_bucket = buckets[0]
        self.progress.unexplored += 1
        self._list(buckets, place)

    def _list(self, buckets: tuple[int, ...], tree_key: bytes) -> None:
        self._asked_parts += len(buckets)
        self._order.asked(tree_key or place_of_bucket(buckets[0]))
        join = Join[BucketsReply](
            lambda remote, local: self._listed(buckets, tree_key, remote, local)
        )
        self._ask_peer(lambda number: AskBuckets(number, buckets, tree_key), join.take_first)
        BucketListing(self._ask_store, buckets, tree_key, join.take_second)

    def _listed(
        self,
        buckets: tuple[int, ...],
        tree_key: bytes,
        remote: PeerAnswer | None,
        local: BucketsReply | None,
    ) -> None:
        self._asked_parts -= len(buckets)
        self._order.answered(tree_key or place_of_bucket(buckets[0]))
        if isinstance(remote, Buckets) and local is not None:
            listing = ComparedListing(buckets, tree_key, remote, local)
            for entry, own in listing.pairs():
                self._consider(entry, own, listing)
            self._list_rest(buckets, listing.end)
        else:
            self._fail()
        self._end_step()

    def _list_rest(self, buckets: tuple[int, ...], tree_key: bytes) -> None:
        """What no answer has room for: the buckets before it are compared."""
        rest = tuple([b for b in buckets if tree_key and b >= bucket_of(tree_key, 0)])
        self.progress.unexplored -= len(buckets) - len(rest)
        if rest:
            self._listings.append((rest, tree_key))

    def _consider(
        self, remote: BucketEntry, local: BucketEntry | None, listing: ComparedListing
    ) -> None:
        key = (remote.collection, remote.id)
        if self.progress.pending >= self._most_found:  # the next pull finds the rest
            return
        if not is_wanted(remote, local):
            return
        if self._refusals.is_refused(*key, remote.fingerprint):
            if refusal := self._refusals.find(*key, remote.fingerprint):
                self.refused[key] = refusal
            return
        if not is_document_name(*key):
            raise PeerFault("malformed message", "a document whose name none can have")
        listing.check_place(remote)
        if self._peer in self._refusals.paused and _ends(remote, local):
            return
        self.differing[key] = None
        self.progress.found += 1
        self._fingerprints[key] = remote.fingerprint
        if local is None or local.incarnation != remote.incarnation or remote.is_deleted:
            self._wanted.append(Wanted(*key, local.incarnation if local else 0, b""))
            return
        self._pairs[key] = pair = (*key, remote.fingerprint, local.fingerprint)
        if self._comparisons.is_due(pair):
            self._whole.add(key)
            self._wanted.append(Wanted(*key, local.incarnation, b""))
        else:
            self._vectors.append(key)

    # --- vectors, wanted, range --------------------------------------------------------------------

    def _read_vectors(self, documents: list[DocumentKey]) -> None:
        def on_answer(answer: StoreAnswer | None) -> None:
            if isinstance(answer, VectorsReply) and answer.wanted:
                self._wanted.extend(answer.wanted)
                self._vectors.extendleft(reversed(documents[len(answer.wanted) :]))
            else:
                self._fail()
            self._end_step()

        self._ask_store(ReadVectors(tuple(documents)), on_answer)

    def _ask_wanted(self, wanted: list[Wanted]) -> None:
        def on_answer(answer: PeerAnswer | None) -> None:
            if isinstance(answer, Updates) and answer.answered:
                rest = wanted[answer.answered :]
                self._wanted.extendleft(reversed(rest))
                answered = wanted[: answer.answered]
                self._apply(answer.batch, [(w.collection, w.id) for w in answered])
            else:
                self._fail()
            self._end_step()

        self._ask_peer(lambda number: AskUpdates(number, tuple(wanted)), on_answer)

    def _ask_range(self, first: int, last: int, tree_key: bytes) -> None:
        def on_answer(answer: PeerAnswer | None) -> None:
            if isinstance(answer, Updates):
                if answer.next_tree_key:
                    check_advance(tree_key, answer.next_tree_key)
                    self._ranges.appendleft((first, last, answer.next_tree_key))
                end = bucket_of(answer.next_tree_key, last) if answer.next_tree_key else last + 1
                self.progress.unexplored -= end - bucket_of(tree_key, first)
                self._apply(answer.batch, None)
            else:
                self._fail()
            self._end_step()

        self._ask_peer(lambda number: AskRange(number, first, last, tree_key), on_answer)

    # --- apply -------------------------------------------------------------------------------------

    def _apply(self, batch: bytes, answered: list[DocumentKey] | None) -> None:
        """`answered`: what was asked for; None: a part of the tree."""
        self._unapplied += 1

        def take(updates: DocumentUpdates) -> DocumentUpdates:
            self._note_arrived({(update.collection, update.id) for update in updates}, answered)
            if not updates:
                self._unapplied -= 1
            return self._marked(updates)

        if not self._apply_batch(batch, take, self._applied):
            self._unapplied -= 1
            self._fail()

    def _note_arrived(self, present: set[DocumentKey], answered: list[DocumentKey] | None) -> None:
        if answered is None:
            self.progress.found += len(present)
        for key in answered or ():
            self.differing.pop(key, None)
            if key not in present:
                self.progress.settled += 1
                self._brought_nothing(key)
                self._forget(key)

    def _applied(self, updates: DocumentUpdates, answer: StoreAnswer | None) -> None:
        self._unapplied -= 1
        present = {(update.collection, update.id) for update in updates}
        self.progress.settled += len(present)
        if isinstance(answer, AppliedReply):
            for update, outcome, reason in zip(
                updates, answer.outcomes, answer.reasons, strict=True
            ):
                self._record_outcome(update, outcome, reason)
        else:
            self._fail()
        for key in present:
            self._forget(key)
        self.advance()

    def _record_outcome(self, update: DocumentUpdate, outcome: Outcome, reason: str) -> None:
        key = (update.collection, update.id)
        match outcome:
            case Outcome.APPLIED:
                self.applied += 1
                self._refusals.forget(*key)
                self._note_compared(key)
            case Outcome.KNOWN:
                self._brought_nothing(key)
                self._note_compared(key)
            case Outcome.STALE | Outcome.GAP:
                pass
            case Outcome.REFUSED:
                self._note_compared(key)
                self._refuse(update, self._fingerprints.get(key, b""), reason)

    # --- comparisons of whole documents

    def _marked(self, updates: tuple[DocumentUpdate, ...]) -> tuple[DocumentUpdate, ...]:
        """The updates, and those that are to be compared as a whole with that mark."""
        if not self._whole:
            return updates
        return tuple(
            replace(update, is_whole=(update.collection, update.id) in self._whole)
            for update in updates
        )

    def _brought_nothing(self, key: DocumentKey) -> None:
        """The peer had nothing new in a document that differs."""
        pair = self._pairs.get(key)
        if pair is not None and key not in self._whole and self._doubts < MAX_COMPARISONS // 2:
            self._doubts += 1
            self._comparisons.brought_nothing(pair)

    def _forget(self, key: DocumentKey) -> None:
        self._fingerprints.pop(key, None)
        self._pairs.pop(key, None)
        self._whole.discard(key)

    def _note_compared(self, key: DocumentKey) -> None:
        if key in self._whole:
            self._comparisons.compared(self._pairs[key])


def _ends(remote: BucketEntry, local: BucketEntry | None) -> bool:
    """Whether the peer has the tombstone of what lives here."""
    return remote.is_deleted and local is not None and not local.is_deleted
