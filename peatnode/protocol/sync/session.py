"""The session with one authenticated peer:
it pushes changes, pulls documents, answers questions and compares roots.

SyncMachine owns the sessions; SessionHost is the part of it that a session uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.feed import Change
from peatnode.model.peer_limits import (
    MAX_APPLYING,
    PEER_AWARENESS_RATE,
    RECEIVED_AWARENESS_RATE,
)
from peatnode.model.sync import (
    AppliedReply,
    StoreAnswer,
    StoreQuestion,
    TreeReply,
)
from peatnode.model.tree import HASH_BYTES
from peatnode.protocol.allowance import Allowance
from peatnode.protocol.clock.watch import ClockWatch
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.members.membership import Membership
from peatnode.protocol.sync.answer_peer import PeerQuestions
from peatnode.protocol.sync.applying import Applying, Batch
from peatnode.protocol.sync.neighbours.heard import HeardNeighbours
from peatnode.protocol.sync.pulls.peer_pulls import PeerPulls
from peatnode.protocol.sync.pulls.pull import Pull
from peatnode.protocol.sync.pulls.turns import PullTurns
from peatnode.protocol.sync.pushes.push_log import PushLog
from peatnode.protocol.sync.pushes.push_window import ACK_SECONDS, PushWindow
from peatnode.protocol.sync.refusals import Comparisons, Refusals
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import (
    Ack,
    Message,
    Push,
    Root,
)

QUIET_SECONDS = 0.3
"""Roots that differ within this time after a change may become equal by pushes, without a pull."""

ROOT_SECONDS = 5.0
"""Mean time between two comparisons of roots with one peer."""

FRESH_ROOT_SECONDS = 0.5
"""Maximum age of a root that is reused, so that one round of comparisons reads the store once."""


class SessionHost(Protocol):
    """The services of the node that a session uses; SyncMachine implements them."""

    now: float
    log: PushLog
    refusals: Refusals
    comparisons: Comparisons
    last_change_at: float
    agreed_root: bytes
    clock: ClockWatch
    members: Membership
    turns: PullTurns
    applying: Applying

    def ask_store(
        self,
        owner: PeerSession,
        question: StoreQuestion,
        then: Callable[[StoreAnswer | None], None],
    ) -> None: ...
    def send(self, session: PeerSession, message: Message) -> None: ...
    def with_root(
        self, owner: PeerSession, purpose: str, then: Callable[[TreeReply], None]
    ) -> None: ...
    def is_needed(self, change: Change, session: PeerSession) -> bool: ...
    def refuse(
        self, session: PeerSession, update: DocumentUpdate, fp: bytes, reason: str
    ) -> None: ...
    def acknowledged(self) -> None: ...
    def set_timer(self, kind: str, session: PeerSession, seconds: float) -> None: ...
    def cancel_timer(self, kind: str, session: PeerSession) -> None: ...


class PeerSession:
    """The state of sync with one peer: a push window, at most one pull, and the questions of the peer.

    The methods that take a message raise PeerFault if the peer broke the protocol.
    """

    def __init__(self, node: SessionHost, peer: int, member: Member, is_root_sender: bool) -> None:
        self._node = node
        self.peer = peer
        self.member = member
        self.instance = member.instance.hex()
        self.is_root_sender = is_root_sender
        self.connected_at = node.now
        self.came_at = node.now
        """Time of the first of the connections to this instance that followed each other without a break."""
        self.heard_at = node.now
        """Time of the last message of the peer."""
        self.push = PushWindow(node.log)
        self.sent_awareness = Allowance(PEER_AWARENESS_RATE)
        self.received_awareness = Allowance(RECEIVED_AWARENESS_RATE)
        self.pulls = PeerPulls(
            node,
            self._ask_store,
            self._send,
            lambda update, fp, reason: node.refuse(self, update, fp, reason),
            peer,
            self.instance,
            member.node_id,
            lambda seconds: node.set_timer("root", self, seconds),
        )
        self.neighbours = HeardNeighbours()
        self.differs_since: float | None = node.now
        """Time since which the roots differ; None: they were equal when last compared."""
        self.is_compared = False
        self.compared_documents = -1
        """The number of documents of this node at the last comparison of roots; -1: unknown."""
        self.documents = -1
        """The number of documents that the peer told with its last root; -1: unknown."""
        self.peer_questions = PeerQuestions(self._ask_store, self._send)
        self._applying = 0

    def follow(self, former: PeerSession) -> None:
        """Takes the place of another connection to the same instance. What is known of the peer is known still."""
        self.came_at = former.came_at
        if former.differs_since is None:  # what it had in flight may be lost
            return
        self.differs_since = former.differs_since
        self.is_compared = former.is_compared
        self.documents = former.documents
        self.compared_documents = former.compared_documents
        self.pulls.rate = former.pulls.rate

    @property
    def pull(self) -> Pull | None:
        """The pull that is in progress."""
        return self.pulls.pull

    def _ask_store(
        self, question: StoreQuestion, then: Callable[[StoreAnswer | None], None]
    ) -> None:
        self._node.ask_store(self, question, then)

    def _send(self, message: Message) -> None:
        self._node.send(self, message)

    # --- push --------------------------------------------------------------------------------------

    def send_pushes(self) -> None:
        """Sends pushes until the window is full or no change waits."""
        node = self._node
        while True:
            push = self.push.next_push(lambda change: node.is_needed(change, self), node.now)
            if push is None:
                return
            node.set_timer("push", self, ACK_SECONDS)
            self._send(push)

    def receive_ack(self, ack: Ack) -> None:
        self.push.acknowledge(ack.number, ack.is_complete)
        if self.push.oldest_sent_at is None:
            self._node.cancel_timer("push", self)
        self._node.acknowledged()
        self.send_pushes()

    def push_timed_out(self) -> None:
        self.push.abandon()
        self.send_pushes()

    def receive_push(self, push: Push) -> None:
        if self._applying >= MAX_APPLYING:
            raise PeerFault("too many pushes")
        number = push.number
        self._applying += 1
        self._node.last_change_at = self._node.now

        def take(updates: tuple[DocumentUpdate, ...]) -> tuple[DocumentUpdate, ...]:
            if not updates:
                self._push_ended(number, is_complete=True)
            return updates

        def then(updates: tuple[DocumentUpdate, ...], answer: StoreAnswer | None) -> None:
            self._applying -= 1
            if isinstance(answer, AppliedReply):
                self._pushed(number, updates, answer)

        node_id = self.member.node_id
        batch = Batch(self.peer, self, self.instance, node_id, push.batch, take, then)
        if not self._node.applying.apply(batch):
            self._push_ended(number, is_complete=False)  # anti-entropy finds its changes

    def _push_ended(self, number: int, *, is_complete: bool) -> None:
        self._applying -= 1
        self._send(Ack(number, is_complete))

    def _pushed(
        self, number: int, updates: tuple[DocumentUpdate, ...], answer: AppliedReply
    ) -> None:
        gaps = []
        is_complete, has_conflict = True, False
        for update, outcome, reason in zip(updates, answer.outcomes, answer.reasons, strict=True):
            match outcome:
                case Outcome.APPLIED:
                    self._node.refusals.forget(update.collection, update.id)
                case Outcome.KNOWN | Outcome.STALE:
                    has_conflict |= update.is_whole
                case Outcome.GAP:
                    is_complete = False
                    gaps.append((update.collection, update.id))
                case Outcome.REFUSED:
                    is_complete = False
                    self._node.refuse(self, update, b"", reason)
        self._send(Ack(number, is_complete))
        if has_conflict:  # the peer has other content by now, of which pushes say nothing
            self._node.set_timer("root", self, 2 * QUIET_SECONDS)
        if gaps:
            self.pulls.repair(gaps)

    # --- roots -------------------------------------------------------------------------------------

    def send_root(self) -> None:
        """Starts a comparison of roots."""
        self._node.with_root(self, "send", lambda own: self._send_root(own, is_answer=False))

    def _send_root(self, own: TreeReply, is_answer: bool) -> None:
        count, is_counted = max(own.documents, 0), own.documents >= 0
        clock = self._node.clock.milliseconds
        self._send(Root(own.hashes[0], is_answer, clock, count, is_counted))

    def receive_root(self, message: Root) -> None:
        if len(message.root) != HASH_BYTES:
            raise PeerFault("malformed message", "a root of the wrong size")
        self.documents = message.documents if message.is_counted else -1
        self._node.with_root(self, "compare", lambda own: self._compare(message, own))

    def _compare(self, message: Root, own: TreeReply) -> None:
        root = own.hashes[0]
        if not message.is_answer:
            self._send_root(own, is_answer=True)
        self.is_compared = True
        self.compared_documents = own.documents
        is_equal = message.root == root
        self._node.members.compared(self.member.node_id, self.instance, is_equal)
        if is_equal:
            self._node.agreed_root = root
            self._became_equal(own.sequence)
            return
        if self.differs_since is None:
            self.differs_since = self._node.now
        self._consider_pull(root, message.root)

    def _became_equal(self, sequence: int) -> None:
        self.differs_since = None
        self.pulls.became_equal()
        self.push.mark_equal(sequence)
        self._node.refusals.forget_peer(self.member.node_id)
        self._node.acknowledged()
        if not self.is_root_sender:
            self._node.cancel_timer("root", self)

    def _consider_pull(self, root: bytes, theirs: bytes) -> None:
        node = self._node
        if self.pull is not None:
            return
        is_fresh = node.now - node.last_change_at < QUIET_SECONDS
        last_at = self.pulls.last_at
        if is_fresh and last_at is not None and node.now - last_at < ROOT_SECONDS:
            self.pulls.stand_back()
            node.set_timer("root", self, 2 * QUIET_SECONDS)
        elif self.pulls.consider(root, theirs, max(self.documents, self.compared_documents)):
            node.set_timer("root", self, 2 * QUIET_SECONDS)
