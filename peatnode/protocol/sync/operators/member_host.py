"""What the book of members asks of the sync machine: questions to the store, messages to the peers, and dials."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from peatnode.model.members import KeepMembership, PausedDeletions, ReadMembership
from peatnode.model.sync import AppliedReply, StoreAnswer, StoreQuestion
from peatnode.protocol.clock.watch import ClockWatch
from peatnode.protocol.members.membership import Membership
from peatnode.protocol.sync.events import (
    Action,
    Close,
    DeletionsArePaused,
    MemberBlocked,
    MemberForgotten,
    MemberRemembered,
    MemberUnblocked,
)
from peatnode.protocol.sync.refusals import Refusals
from peatnode.protocol.sync.session import PeerSession
from peatnode.protocol.wire.errors import CloseCode
from peatnode.protocol.wire.messages import Departed, Message


class MemberDesk(Protocol):
    """The part of the sync machine that the book of members needs."""

    clock: ClockWatch
    refusals: Refusals
    members: Membership

    @property
    def all_sessions(self) -> Collection[PeerSession]: ...
    def ask_store(
        self,
        owner: PeerSession | None,
        question: StoreQuestion,
        then: Callable[[StoreAnswer | None], None],
    ) -> None: ...
    def set_node_timer(self, kind: str, seconds: float) -> None: ...
    def send(self, session: PeerSession, message: Message) -> None: ...
    def act(self, action: Action) -> None: ...
    def remove(self, session: PeerSession, reason: str) -> None: ...


class MemberHost:
    """Carries out for the sync machine what its `Membership` decides."""

    def __init__(self, machine: MemberDesk, own: str) -> None:
        """`own` is the node id of this node."""
        self._machine = machine
        self._own = own

    def ask_members(
        self,
        question: ReadMembership | KeepMembership,
        then: Callable[[StoreAnswer | None], None],
    ) -> None:
        self._machine.ask_store(None, question, then)

    def set_members_timer(self, seconds: float) -> None:
        self._machine.set_node_timer("members", seconds)

    def tell_departures(self, message: Departed, but: str) -> None:
        for session in self._machine.all_sessions:
            if session.instance != but:
                self._machine.send(session, message)

    def member_remembered(self, node_id: str, addresses: tuple[str, ...]) -> None:
        self._machine.act(MemberRemembered(node_id, addresses))

    def member_forgotten(self, node_id: str, reason: str) -> None:
        self._machine.act(MemberForgotten(node_id, reason))

    def member_blocked(self, node_id: str) -> None:
        self._machine.act(MemberBlocked(node_id))
        for session in list(self._machine.all_sessions):
            if session.member.node_id == node_id:
                self._machine.act(self.refusal(session.peer))
                self._machine.remove(session, "an operator has blocked it")

    def refusal(self, peer: int) -> Close:
        """The end of a connection to a node that is blocked. It is not told why: that is for the operators here."""
        return Close(peer, CloseCode.BLOCKED, f"blocked by {self._own}")

    def member_unblocked(self, node_id: str) -> None:
        self._machine.act(MemberUnblocked(node_id))

    def deletions_paused(self, answer: AppliedReply) -> None:
        """The store refuses the deletions of a peer."""
        node_id = answer.paused_peer
        paused = PausedDeletions(node_id, answer.paused_since, answer.refused_deletions)
        if self._machine.members.deletions_paused(paused):
            self._machine.act(DeletionsArePaused(node_id))

    def pause_known(self, node_id: str) -> None:
        self._machine.refusals.pause(node_id)

    def deletions_resumed(self, node_id: str) -> None:
        """What was refused of a peer is fetched again, also from others that have taken it."""
        self._machine.members.deletions_allowed(node_id)
        self._machine.refusals.resume(node_id)
        for session in self._machine.all_sessions:
            session.send_root()

    def is_clock_denied(self) -> bool:
        return self._machine.clock.verdict.is_denied
