"""Joins the book of members to the sync machine: what the store keeps of it, and what the peers are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from peatnode.model.clock import SET_SECONDS, ClockReading
from peatnode.model.members import (
    Departure,
    KeepMembership,
    MembershipKept,
    MembershipReply,
    PausedDeletions,
    ReadMembership,
)
from peatnode.model.peer_limits import INSTANCE_BYTES, MAX_DEPARTURES
from peatnode.model.sync import StoreAnswer
from peatnode.protocol.members.book import MemberBook
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Departed
from peatnode.texts import is_name

RETENTION_SECONDS = 7 * 86400.0

KEEP_SECONDS = 0.5
"""Delay before the store is asked to keep a change, so that one write covers several."""

TIMES_SECONDS = 60.0
"""Interval at which the times and the roots of connected members are kept."""

ABSENCE_SECONDS = 3600.0
"""Longest interval at which the absence of absent members is kept."""

RETRY_SECONDS = (1.0, 60.0)
"""The first and the longest time after which a store that did not answer is asked again."""


class MembershipHost(Protocol):
    """What the membership asks of the sync machine."""

    def ask_members(
        self,
        question: ReadMembership | KeepMembership,
        then: Callable[[StoreAnswer | None], None],
    ) -> None: ...
    def set_members_timer(self, seconds: float) -> None: ...
    def tell_departures(self, message: Departed, but: str) -> None:
        """Sends it to all peers but the one with this instance."""

    def member_remembered(self, node_id: str, addresses: tuple[str, ...]) -> None:
        """A member is absent, and may be dialled at these addresses."""

    def member_forgotten(self, node_id: str, reason: str) -> None: ...
    def member_blocked(self, node_id: str) -> None:
        """Ends the connections to it. None may begin before `member_unblocked`."""

    def member_unblocked(self, node_id: str) -> None: ...
    def pause_known(self, node_id: str) -> None:
        """The store refuses the deletions of a peer."""

    def is_clock_denied(self) -> bool: ...


class Membership:
    """The book of this node, kept by its store.

    Without readings of the wall clock it does nothing. Nothing depends on the store: before it has answered, and
    while it refuses, the book works in memory.
    """

    def __init__(self, host: MembershipHost, own: str, retention: float) -> None:
        """`own` is the node id of this node; `review` is to be called when the timer is due."""
        self.book = MemberBook(own, retention)
        self._host = host
        self._retention = retention
        self._shift: float | None = None
        """Of the wall clock; None: no reading was given."""
        self._is_asking = False
        self._retry = RETRY_SECONDS[0]
        self._asked_not_before = 0.0
        self._times_at = self._absence_at = 0.0
        self._timer_at: float | None = None
        self._has_stopped = False

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do: no time is known, or the node stops."""
        return self._shift is None or self._has_stopped

    def read(self, now: float, reading: ClockReading) -> None:
        """Call it before each event is handled."""
        book = self.book
        if self._shift is None:
            self._shift = reading.shift
            self._times_at = self._absence_at = self._asked_not_before = now
            book.begin(now, reading.unix)
            self.review()
            return
        book.now, book.unix = now, reading.unix
        jump = reading.shift - self._shift
        if abs(jump) > SET_SECONDS:
            self._shift = reading.shift
            book.clock_set(jump)

    # --- connections

    def connected(
        self, node_id: str, instance: str, version: str, addresses: Iterable[str]
    ) -> Departed | None:
        """Returns what the new peer is to be told."""
        if self.is_idle:
            return None
        self.book.connected(node_id, instance, version, addresses)
        self._plan()
        departures = self.book.departures
        return encode_departures(departures) if len(departures) else None

    def disconnected(self, node_id: str, instance: str, reason: str, has_left: bool) -> None:
        if self.is_idle:
            return
        departure = self.book.disconnected(node_id, instance, reason, has_left)
        if departure is not None:
            self._departed((departure,), "", reason)
        elif not self.book.is_connected(node_id):
            record = self.book.get(node_id)
            if record is not None:
                self._host.member_remembered(node_id, record.addresses)
        self._plan()

    def told(self, node_id: str, instance: str, root: bytes, documents: int) -> None:
        if not self.is_idle:
            self.book.told(node_id, instance, root, documents)

    def compared(self, node_id: str, instance: str, is_equal: bool) -> None:
        if not self.is_idle:
            self.book.compared(node_id, instance, is_equal)
            self._plan()

    def dial_failed(self, peer: str, reason: str, is_refused: bool) -> None:
        if not self.is_idle:
            self.book.dial_failed(peer, reason, is_refused)
            self._plan()

    # --- departures

    def forget(self, node_id: str) -> None:
        """An operator has said that an absent member is gone. Does nothing if it is not one."""
        if self.is_idle or self.book.get(node_id) is None or self.book.is_connected(node_id):
            return
        self._departed((self.book.forget(node_id),), "", "an operator has said so")
        self._plan()

    def receive(self, teller: str, instance: str, message: Departed) -> int:
        """A peer tells of departures: passes on those that are news. Returns how many are beyond what it may tell.
        Raises PeerFault."""
        departures = decode_departures(message)
        if self.is_idle:
            return 0
        before = self.book.left_out
        told = [d for d in departures if self.book.departed(d, teller)]
        self._departed(told, instance, f"{teller} has said so")
        self._plan()
        return self.book.left_out - before

    def _departed(self, departures: Iterable[Departure], teller: str, reason: str) -> None:
        told = list(departures)
        for departure in told:
            self._host.member_forgotten(departure.node_id, reason)
        if told:
            self._host.tell_departures(encode_departures(told), teller)

    # --- blocks

    def is_blocked(self, node_id: str) -> bool:
        return node_id in self.book.blocks

    def block(self, node_id: str, reason: str) -> None:
        """An operator wants no connection to a node, known or not."""
        if self.is_idle:
            return
        self.book.block(node_id, reason)
        self._host.member_blocked(node_id)
        self._plan()

    def unblock(self, node_id: str) -> None:
        if not self.is_idle and self.book.unblock(node_id):
            self._host.member_unblocked(node_id)
            self._plan()

    # --- deletions

    def deletions_paused(self, paused: PausedDeletions) -> bool:
        """The store refuses the deletions of a peer. Whether that is news."""
        is_news = self.book.deletions_paused(paused)
        if is_news:
            self._host.pause_known(paused.node_id)
            self._plan()
        return is_news

    def deletions_allowed(self, node_id: str) -> None:
        self.book.deletions_allowed(node_id)
        self._plan()

    # --- the store

    def review(self) -> None:
        """Forgets who was absent for too long, and asks the store for what is due."""
        self._timer_at = None
        if self.is_idle:
            return
        for node_id in self.book.expire():
            self._host.member_forgotten(node_id, "it was absent for too long")
        if not self._host.is_clock_denied():
            self.book.expire_departures()
        if self.book.now >= self._asked_not_before:
            if not self.book.is_read:
                self._ask(ReadMembership(), self._read)
            else:
                self._keep()
        self._plan()

    def stop(self) -> None:
        """The node stops: has everything kept once more. What follows is no news of the peers."""
        if not self.is_idle and self.book.is_read:
            self._is_asking = False
            self._ask(self.book.take_changes(with_connected=True, with_absent=True), lambda _: None)
        self._has_stopped = True

    def _keep(self) -> None:
        book = self.book
        with_connected = book.now - self._times_at >= TIMES_SECONDS and book.has_connected
        with_absent = book.now - self._absence_at >= self._absence_seconds and book.has_absent
        if self._is_asking or not (book.is_changed or with_connected or with_absent):
            return
        if with_connected:
            self._times_at = book.now
        if with_absent:
            self._absence_at = book.now
        keep = book.take_changes(with_connected=with_connected, with_absent=with_absent)
        self._ask(keep, lambda answer: self._kept(keep, answer))

    @property
    def _absence_seconds(self) -> float:
        return min(ABSENCE_SECONDS, self._retention / 20)

    def _ask(
        self,
        question: ReadMembership | KeepMembership,
        then: Callable[[StoreAnswer | None], None],
    ) -> None:
        if not self._is_asking:
            self._is_asking = True
            self._host.ask_members(question, then)

    def _read(self, answer: StoreAnswer | None) -> None:
        self._is_asking = False
        if isinstance(answer, MembershipReply):
            self._retry = RETRY_SECONDS[0]
            absent = self.book.load(answer)
            for block in list(self.book.blocks):
                self._host.member_blocked(block.node_id)
            for node_id in self.book.paused:
                self._host.pause_known(node_id)
            for record in absent:
                self._host.member_remembered(record.node_id, record.addresses)
        else:
            self._ask_later()
        self._plan()

    def _kept(self, keep: KeepMembership, answer: StoreAnswer | None) -> None:
        self._is_asking = False
        if isinstance(answer, MembershipKept):
            self._retry = RETRY_SECONDS[0]
        else:
            self.book.put_back(keep)
            self._ask_later()
        self._plan()

    def _ask_later(self) -> None:
        self._asked_not_before = self.book.now + self._retry
        self._retry = min(2 * self._retry, RETRY_SECONDS[1])

    def _plan(self) -> None:
        """Sets the timer if something is due earlier than it is set to."""
        book = self.book
        due = []
        if not self._is_asking and not book.is_read:
            due.append(self._asked_not_before)
        if not self._is_asking and book.is_read and book.is_changed:
            due.append(max(book.now + KEEP_SECONDS, self._asked_not_before))
        if book.has_connected or book.has_absent or len(book.departures):
            due.append(book.now + min(TIMES_SECONDS, self._absence_seconds))
        if due and (self._timer_at is None or min(due) < self._timer_at):
            self._timer_at = min(due)
            self._host.set_members_timer(max(0.0, self._timer_at - book.now))


def encode_departures(departures: Iterable[Departure]) -> Departed:
    return Departed(
        tuple([(d.node_id, bytes.fromhex(d.instance), round(d.at * 1000)) for d in departures])
    )


def decode_departures(message: Departed) -> list[Departure]:
    """Raises PeerFault."""
    if len(message.departed) > MAX_DEPARTURES:
        raise PeerFault("malformed message", "too many departures")
    departures = []
    for node_id, instance, at in message.departed:
        if not is_name(node_id) or len(instance) not in (0, INSTANCE_BYTES) or at < 0:
            raise PeerFault("malformed message", "a departure")
        departures.append(Departure(node_id, instance.hex(), at / 1000))
    return departures
