"""The sync machine of a node. It receives events with the time, and returns actions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from peatnode.documents.names import is_document_name
from peatnode.model.clock import ClockReading
from peatnode.model.documents import DocumentUpdate
from peatnode.model.feed import Change, ChangesSeen, FeedGap, FeedRestarted
from peatnode.model.sync import AppliedReply, ReadTree, StoreAnswer, StoreQuestion, TreeReply
from peatnode.protocol.clock.watch import ClockWatch
from peatnode.protocol.connect.election import INSTANCE_TAKEN, is_better, other_holder
from peatnode.protocol.connect.handshake import Member
from peatnode.protocol.members.membership import RETENTION_SECONDS, Membership
from peatnode.protocol.sync.applying import Applying
from peatnode.protocol.sync.clients.awareness import AwarenessRelay
from peatnode.protocol.sync.clients.replica_waits import ReplicaWaits
from peatnode.protocol.sync.events import (
    Action,
    AskStore,
    AwarenessPublished,
    BlockOrdered,
    ClockJudged,
    Close,
    ConnectionDown,
    ConnectionUp,
    DeletionsResumed,
    DialFailed,
    Event,
    FeedOpened,
    ForgetOrdered,
    InstanceRefused,
    MessageReceived,
    NeighboursChanged,
    PeerAppeared,
    PeersExpected,
    PeerVanished,
    ReplicasWanted,
    Send,
    StopOrdered,
    StoreAnswered,
    StoreLost,
    UnblockOrdered,
    UpdateRefused,
    WakeUp,
)
from peatnode.protocol.sync.neighbours.told import NeighbourTeller
from peatnode.protocol.sync.operators.member_host import MemberHost
from peatnode.protocol.sync.peer_status import (
    PeerSyncStatus,
    differing_documents,
    stale_sessions,
    sync_status_of,
    twin_names,
)
from peatnode.protocol.sync.pulls.turns import PullTurns
from peatnode.protocol.sync.pushes.push_log import PushLog
from peatnode.protocol.sync.refusals import Comparisons, Refusals, RefusedDocument
from peatnode.protocol.sync.session import FRESH_ROOT_SECONDS, ROOT_SECONDS, PeerSession
from peatnode.protocol.sync.timers import Timers
from peatnode.protocol.wire.errors import CloseCode, PeerFault
from peatnode.protocol.wire.messages import (
    Ack,
    AskBuckets,
    AskRange,
    AskTree,
    AskUpdates,
    Awareness,
    Buckets,
    Departed,
    Message,
    Neighbours,
    PeerHello,
    Proof,
    Push,
    Root,
    Tree,
    Unanswered,
    Updates,
)

_NEVER_SEEN: Mapping[int, float] = {}


class Randomness(Protocol):
    """The part of `random.Random` that the machine uses."""

    def random(self) -> float: ...
    def randbytes(self, n: int, /) -> bytes: ...


class SyncMachine:
    """The sync state of a node: the sessions with its peers, its push log and its refusals.

    The shell passes each event to `handle`, carries out the actions that it returns, and passes WakeUp at
    `next_wake`.
    """

    def __init__(
        self,
        node_id: str,
        instance: bytes,
        randomness: Randomness,
        now: float,
        retention: float = RETENTION_SECONDS,
    ) -> None:
        """`retention`: seconds of absence after which a member is forgotten."""
        self.now = now
        self.log = PushLog()
        self.refusals = Refusals()
        self.comparisons = Comparisons()
        self.agreed_root = b""
        """The last local root that a peer had too."""
        self.last_change_at = now - ROOT_SECONDS
        self.faults: dict[str, int] = {}
        """Messages of peers that were refused, by reason: faults, and what was dropped."""
        self._node_id = node_id
        self._instance = instance
        self._random = randomness
        self._sessions: dict[int, PeerSession] = {}
        self._by_instance: dict[str, PeerSession] = {}
        self._timers: Timers[tuple[str, int]] = Timers()
        self._actions: list[Action] = []
        self._asked: dict[int, tuple[PeerSession | None, Callable[[StoreAnswer | None], None]]] = {}
        self._last_asked = 0
        self._root: tuple[TreeReply, float] | None = None
        """The local root, and when it was read."""
        self._root_waiters: dict[tuple[PeerSession, str], Callable[[TreeReply], None]] = {}
        """By session and purpose: a peer that sends Root without end has one that waits."""
        self._is_root_asked = False
        self.documents = -1
        """The number of documents of this node, as the store last told it; -1: unknown."""
        self._counted_at = -1
        """The sequence of the store at which they were counted."""
        sessions = self._sessions.values()
        self.applying = Applying(
            lambda question, then: self.ask_store(None, question, then), self._on_behalf_of
        )
        self.turns = PullTurns(lambda at: self._set_timer_at("turns", at))
        self._waits = ReplicaWaits(self.log, sessions, self.act, self._set_waiter_timer)
        self._told = NeighbourTeller(
            sessions,
            self.send,
            lambda session, seconds: self.set_timer("neighbours", session, seconds),
        )
        self._awareness = AwarenessRelay(
            instance, randomness, sessions, self.send, self.act, self.count_fault
        )
        self.clock = ClockWatch(
            now,
            lambda question, then: self.ask_store(None, question, then),
            lambda *judged: self._actions.append(ClockJudged(*judged)),
            lambda seconds: self.set_node_timer("clock", seconds),
        )
        self._member_host = MemberHost(self, node_id)
        self.members = Membership(self._member_host, node_id, retention)

    @property
    def next_wake(self) -> float | None:
        return self._timers.next_at

    def handle(self, event: Event, now: float, clock: ClockReading | None = None) -> list[Action]:
        """`clock`: the wall clock at `now`. None: it is not known; peers are told no time, and nothing is judged."""
        self.now = now
        if clock is not None:
            self.clock.read(now, clock)
            self.members.read(now, clock)
        match event:
            case ConnectionUp():
                self._peer_up(event.peer, event.member, event.addresses)
            case ConnectionDown():
                if event.peer in self._sessions:
                    self.remove(self._sessions[event.peer], event.reason, event.has_left)
            case MessageReceived():
                if event.peer in self._sessions:
                    self._sessions[event.peer].heard_at = now
                    self._receive(self._sessions[event.peer], event.message, event.rtt)
            case PeersExpected():
                self.clock.expect_peers(event.are_known, event.are_sought)
            case StoreAnswered():
                self._store_answered(event.number, event.answer)
            case ChangesSeen():
                self._changes_seen(event.changes, event.upto)
            case StoreLost():
                self._forget_root()
                self.clock.store_lost()
            case FeedOpened():
                self._feed_opened(event.generation)
            case FeedGap():
                self.log.upto = event.upto
                for session in self._sessions.values():
                    session.push.skip_gap()
            case FeedRestarted():
                self._feed_restarted(event.upto)
            case AwarenessPublished():
                self._awareness.publish(event, now)
            case ReplicasWanted():
                self._waits.add(event)
            case DialFailed():
                self.members.dial_failed(event.peer, event.reason, event.is_refused)
            case ForgetOrdered():
                self.members.forget(event.node_id)
            case BlockOrdered():
                self.members.block(event.node_id, event.reason)
            case DeletionsResumed():
                self._member_host.deletions_resumed(event.node_id)
            case UnblockOrdered():
                self.members.unblock(event.node_id)
            case StopOrdered():
                self.members.stop()
            case WakeUp():
                self._wake()
        actions, self._actions = self._actions, []
        return actions

    # --- connections -------------------------------------------------------------------------------

    def _peer_up(self, peer: int, member: Member, addresses: tuple[str, ...]) -> None:
        if self.members.is_blocked(member.node_id):
            self._actions.append(self._member_host.refusal(peer))
            return
        if holder := self.holder_of(member):
            self.count_fault(INSTANCE_TAKEN)
            self._actions.append(InstanceRefused(member.node_id, holder))
            self._actions.append(Close(peer, CloseCode.NOT_AUTHENTICATED, INSTANCE_TAKEN))
            return
        current = self._by_instance.get(member.instance.hex())
        if current is not None and not is_better(member, current.member):
            self._actions.append(Close(peer, CloseCode.OTHER_KEPT, "another connection is kept"))
            return
        if current is not None:
            self._forget(current)
            self._actions.append(
                Close(current.peer, CloseCode.OTHER_KEPT, "another connection is kept")
            )
        session = PeerSession(self, peer, member, self._instance < member.instance)
        if current is not None:
            session.follow(current)
        self._sessions[peer] = self._by_instance[session.instance] = session
        if current is None:
            self._actions.append(PeerAppeared(peer, member.node_id, session.instance))
        departed = self.members.connected(
            member.node_id, session.instance, member.software, addresses
        )
        self._neighbours_changed()
        if departed is not None:
            self.send(session, departed)
        session.send_root()
        if session.is_root_sender:
            self._set_root_timer(session)
        for other in list(self._sessions.values()):
            if other is not session and other.member.node_id == member.node_id:
                other.send_root()  # it answers if it is a twin, and not if it has been replaced

    def holder_of(self, member: Member) -> str:
        """The node id that has the instance of this member under another key; empty: no other has it."""
        current = self._by_instance.get(member.instance.hex())
        holder = current.member if current else None
        return other_holder(member, holder, self._node_id, self._instance)

    def _forget(self, session: PeerSession) -> None:
        del self._sessions[session.peer]
        del self._by_instance[session.instance]
        session.pulls.leave()
        session.peer_questions.leave()
        for number, (owner, _) in self._asked.items():
            if owner is session:  # what the store still answers keeps nothing of it
                self._asked[number] = _FORGOTTEN
        for purpose in ("send", "compare"):
            self._root_waiters.pop((session, purpose), None)
        self._told.left(session.peer)
        self.applying.leave(session.peer)
        for kind in ("root", "push", "neighbours"):
            self.cancel_timer(kind, session)

    def remove(self, session: PeerSession, reason: str, has_left: bool = False) -> None:
        self._forget(session)
        self.clock.left(session.instance)
        self.members.disconnected(session.member.node_id, session.instance, reason, has_left)
        self._actions.append(PeerVanished(session.member.node_id, session.instance, reason))
        self._neighbours_changed()
        self._trim_log()

    def _neighbours_changed(self) -> None:
        self._actions.append(NeighboursChanged(len(self._sessions)))
        self._told.changed(self.now)

    # --- messages ----------------------------------------------------------------------------------

    def _close_on_fault(self, session: PeerSession, step: Callable[[], None]) -> None:
        """Runs `step`, and closes the connection if it raises PeerFault."""
        try:
            step()
        except PeerFault as fault:
            self.count_fault(fault.reason)
            if session.peer in self._sessions:
                self._actions.append(Close(session.peer, fault.code, str(fault)))
                self.remove(session, str(fault))

    def count_fault(self, reason: str) -> None:
        """Counts what a peer has said and should not have, for the metric."""
        self.faults[reason] = self.faults.get(reason, 0) + 1

    def _on_behalf_of(self, peer: int, step: Callable[[], None]) -> None:
        if peer in self._sessions:
            self._close_on_fault(self._sessions[peer], step)

    def _receive(self, session: PeerSession, message: Message, rtt: float) -> None:
        self._close_on_fault(session, lambda: self._dispatch(session, message, rtt))

    def _dispatch(self, session: PeerSession, message: Message, rtt: float) -> None:
        match message:
            case Root():
                self.clock.heard(session.instance, session.member.node_id, message.clock, rtt)
                session.receive_root(message)
                documents = message.documents if message.is_counted else -1
                node_id = session.member.node_id
                self.members.told(node_id, session.instance, message.root, documents)
            case Push():
                session.receive_push(message)
            case Ack():
                session.receive_ack(message)
                self._trim_log()
            case AskTree() | AskBuckets() | AskUpdates() | AskRange():
                session.peer_questions.receive(message)
            case Tree() | Buckets() | Updates() | Unanswered():
                session.pulls.receive_answer(message)
            case Neighbours():
                if session.neighbours.receive(message):
                    self.count_fault("too many neighbours")
                self._actions.append(NeighboursChanged(len(self._sessions)))
            case Awareness():
                self._awareness.receive(session, message, self.now)
            case Departed():
                node_id = session.member.node_id
                if self.members.receive(node_id, session.instance, message):
                    self.count_fault("too many departures")
            case PeerHello() | Proof():
                raise PeerFault("unexpected message", type(message).__name__)

    @property
    def all_sessions(self) -> Collection[PeerSession]:
        return self._sessions.values()

    def send(self, session: PeerSession, message: Message) -> None:
        self._actions.append(Send(session.peer, message))

    def act(self, action: Action) -> None:
        self._actions.append(action)

    # --- the store ---------------------------------------------------------------------------------

    def ask_store(
        self,
        owner: PeerSession | None,
        question: StoreQuestion,
        then: Callable[[StoreAnswer | None], None],
    ) -> None:
        self._last_asked += 1
        self._asked[self._last_asked] = (owner, then)
        self._actions.append(AskStore(self._last_asked, question))

    def _store_answered(self, number: int, answer: StoreAnswer | None) -> None:
        owner, then = self._asked.pop(number)
        if isinstance(answer, TreeReply | AppliedReply):
            self._count_documents(answer)
        if isinstance(answer, AppliedReply) and answer.paused_peer:
            self._member_host.deletions_paused(answer)
        if owner is None:
            then(answer)
        elif owner.peer in self._sessions:
            self._close_on_fault(owner, lambda: then(answer))

    def _count_documents(self, answer: TreeReply | AppliedReply) -> None:
        """A reading may arrive after a later write, whose count is newer."""
        if answer.documents >= 0 and answer.sequence >= self._counted_at:
            self.documents, self._counted_at = answer.documents, answer.sequence

    def _forget_root(self) -> None:
        self._root = None
        self._counted_at = -1

    def with_root(
        self, owner: PeerSession, purpose: str, then: Callable[[TreeReply], None]
    ) -> None:
        """Calls `then` with the local root. Does not call it if the store does not answer, or if another one of the
        same purpose comes before that."""
        if self._root is not None:
            read, read_at = self._root
            if read.sequence >= self.log.upto >= 0 and self.now - read_at < FRESH_ROOT_SECONDS:
                then(read)
                return
        self._root_waiters[owner, purpose] = then
        if not self._is_root_asked:
            self._is_root_asked = True
            self.ask_store(None, ReadTree(0, (0,), self.agreed_root), self._root_read)

    def _root_read(self, answer: StoreAnswer | None) -> None:
        waiters, self._root_waiters = self._root_waiters, {}
        self._is_root_asked = False
        if not isinstance(answer, TreeReply):
            return
        self._root = (answer, self.now)
        self.refusals.decided(answer.decisions)
        for (owner, _), then in waiters.items():
            if owner.peer in self._sessions:
                self._close_on_fault(owner, lambda then=then: then(answer))  # type: ignore[misc]

    def _changes_seen(self, changes: tuple[Change, ...], upto: int) -> None:
        is_first = self.log.upto < 0
        self.log.upto = upto
        if is_first:
            for session in self._sessions.values():
                session.push.skip_gap()
        if not changes:
            return
        self.last_change_at = self.now
        if len(self.refusals):
            # What was refused may fit now, as after an operator has accepted a leap.
            for change in changes:
                self.refusals.forget(change.collection, change.id)
        if not self._sessions:
            return
        for change in changes:
            self.log.append(change)
        for session in self._sessions.values():
            session.send_pushes()
        self._trim_log()

    def _feed_opened(self, generation: int) -> None:
        self._waits.feed_opened(generation)
        self.log.name_feed(generation)

    def _feed_restarted(self, upto: int) -> None:
        self._waits.feed_restarted()
        self._forget_root()
        self.log.restart(upto)
        for session in self._sessions.values():
            session.push.restart_feed()
            session.send_pushes()

    def _trim_log(self) -> None:
        cursors = [session.push.cursor for session in self._sessions.values()]
        self.log.trim(min(cursors, default=self.log.end))

    # --- decisions for sessions --------------------------------------------------------------------

    def is_needed(self, change: Change, session: PeerSession) -> bool:
        """Whether to push a change to this peer:
        false if the peer or one of its neighbours sent the change."""
        if change.origin == session.instance:
            return False
        origin = self._by_instance.get(change.origin)
        return origin is None or session.member.instance not in origin.neighbours

    def refuse(self, session: PeerSession, update: DocumentUpdate, fp: bytes, reason: str) -> None:
        """Raises PeerFault if no store would have sent the update."""
        if not is_document_name(update.collection, update.id):
            raise PeerFault("malformed message", "a document whose name none can have")
        node_id = session.member.node_id
        refusal = RefusedDocument(update.collection, update.id, node_id, self.now, reason)
        if not self.refusals.is_refused(update.collection, update.id, fp):
            self.refusals.add(refusal, fp)
            self._actions.append(UpdateRefused(node_id, update.collection, update.id, reason))

    def acknowledged(self) -> None:
        self._waits.review()

    def is_followed(self, generation: int) -> bool:
        """Whether the feed of this generation of the store is the one that is followed."""
        return self.log.is_of(generation)

    # --- timers ------------------------------------------------------------------------------------

    def set_node_timer(self, kind: str, seconds: float) -> None:
        """Sets a timer of the node, not of one session."""
        self._timers.set((kind, 0), self.now + seconds)

    def set_timer(self, kind: str, session: PeerSession, seconds: float) -> None:
        self._timers.set((kind, session.peer), self.now + seconds)

    def cancel_timer(self, kind: str, session: PeerSession) -> None:
        self._timers.cancel((kind, session.peer))

    def _set_timer_at(self, kind: str, at: float | None) -> None:
        if at is None:
            self._timers.cancel((kind, 0))
        else:
            self._timers.set((kind, 0), at)

    def _set_waiter_timer(self, waiter: int, seconds: float | None) -> None:
        if seconds is None:
            self._timers.cancel(("waiter", waiter))
        else:
            self._timers.set(("waiter", waiter), self.now + seconds)

    def _set_root_timer(self, session: PeerSession) -> None:
        self.set_timer("root", session, ROOT_SECONDS * (0.8 + 0.4 * self._random.random()))

    def _wake(self) -> None:
        while (due := self._timers.pop_due(self.now)) is not None:
            kind, number = due
            if kind == "clock":
                self.clock.review()
            elif kind == "turns":
                self.turns.review(self.now)
            elif kind == "members":
                self.members.review()
            elif kind == "waiter":
                self._waits.expired(number)
            elif number in self._sessions:
                self._session_due(kind, self._sessions[number])

    def _session_due(self, kind: str, session: PeerSession) -> None:
        if kind == "push":
            session.push_timed_out()
        elif kind == "neighbours":
            self._told.due(session, self.now)
        else:
            if self._root_waiters:
                # The store does not answer: only this message keeps the connection alive.
                self.send(session, Unanswered(0))
            session.send_root()
            self._set_root_timer(session)

    # --- views -------------------------------------------------------------------------------------

    def sync_statuses(
        self, seen_at: Mapping[int, float] = _NEVER_SEEN, now: float | None = None
    ) -> list[PeerSyncStatus]:
        """`seen_at`: when a connection last received anything from its peer, by number of the connection. `now`: None:
        the time of the last event."""
        sessions = list(self._sessions.values())
        stale = stale_sessions(sessions, seen_at)
        twins = twin_names(
            (s.member.node_id for s in sessions if s.peer not in stale), self._node_id
        )
        return [
            sync_status_of(
                s,
                self.refusals,
                self.documents,
                self.now if now is None else now,
                is_twin=s.member.node_id in twins and s.peer not in stale,
                is_stale=s.peer in stale,
                clock_offset=self.clock.offset_of(s.instance),
                paused=self.members.book.paused.get(s.member.node_id),
            )
            for s in sessions
        ]

    def differing(self) -> tuple[str, ...]:
        return differing_documents(list(self._sessions.values()), self.refusals)

    @property
    def root(self) -> bytes:
        """The local root as last read; empty before the first read."""
        return self._root[0].hashes[0] if self._root else b""


def _ignore(answer: StoreAnswer | None) -> None:
    """The answer to a question of a connection that has ended."""


_FORGOTTEN = (None, _ignore)
