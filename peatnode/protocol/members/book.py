"""The book of members: who has proved its membership, who of them is connected, and who is absent since when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from peatnode.model.members import (
    MAX_REMEMBERED_PEERS,
    Departure,
    KeepMembership,
    MembershipReply,
    PausedDeletions,
    PeerEventKind,
    RememberedPeer,
)
from peatnode.protocol.members.blocks import Blocks
from peatnode.protocol.members.departures import Departures, TellerLimits, ends
from peatnode.protocol.members.link import DIFFERENT_SECONDS, MemberLink, shifted
from peatnode.protocol.members.peer_log import PeerLog
from peatnode.texts import cleaned, is_name

MAX_ADDRESSES = 8
OTHER_INSTANCE = "another instance of it is connected"
HEARD_BEFORE = "its goodbye was heard before"
HEARD_SECONDS = 1.0
"""A connected peer that is heard of so long after its departure was told is there."""


class MemberBook:
    """The members by node id, the departures and the log.

    `now` and `unix` are the time of the machine and the wall clock; set them by `tell_time` before each call. The
    times of members are Unix seconds. The absence that counts for the retention is the time for which this node
    has run, so that no wall clock and no sleep of this node forgets a member.
    """

    def __init__(self, own: str, retention: float) -> None:
        """`own` is the node id of this node, `retention` the seconds of absence after which a member is forgotten."""
        self.log = PeerLog()
        self.departures = Departures()
        self.left_out = 0
        """Departures that a peer has told beyond its limit."""
        self._teller_limits = TellerLimits()
        self.blocks = Blocks()
        self.paused: dict[str, PausedDeletions] = {}
        """The peers whose deletions the store refuses, by node id."""
        self.is_read = False
        """Whether what an earlier process kept has been read."""
        self.now = 0.0
        self.unix = 0.0
        self._began = 0.0
        """Unix seconds at which this process began to measure."""
        self._own = own
        self._retention = retention
        self._records: dict[str, RememberedPeer] = {}
        self._links: dict[str, dict[str, MemberLink]] = {}
        """The connected instances, by node id."""
        self._absent_from: dict[str, float] = {}
        """Time of the machine from which `absent_seconds` of an absent member is counted on."""
        self._doubted: dict[str, tuple[Departure, float, str]] = {}
        """Departures of connected instances, when they were told, as their last message may be on its way, and why."""
        self._changed: set[str] = set()
        self._forgotten: set[str] = set()
        self._has_news = False
        """Whether the log or the departures have changed."""

    # --- what it knows

    def get(self, node_id: str) -> RememberedPeer | None:
        record = self._records.get(node_id)
        return None if record is None else self._as_of_now(record)

    def remembered(self) -> list[RememberedPeer]:
        """All members, connected or not."""
        return [self._as_of_now(record) for record in self._records.values()]

    def absent(self) -> list[RememberedPeer]:
        """The members that are not connected. They were last seen when their connection ended."""
        return [
            self._as_of_now(record)
            for record in self._records.values()
            if record.node_id not in self._links
        ]

    def name_at(self, address: str) -> str:
        """The node id of the absent member that was last reached at an address; empty: none was."""
        for node_id in self._absent_from:
            if self._records[node_id].addresses[:1] == (address,):
                return node_id
        return ""

    def is_connected(self, node_id: str) -> bool:
        return node_id in self._links

    @property
    def has_connected(self) -> bool:
        return bool(self._links)

    @property
    def has_absent(self) -> bool:
        return bool(self._absent_from)

    def __len__(self) -> int:
        return len(self._records)

    def _as_of_now(self, record: RememberedPeer) -> RememberedPeer:
        links = self._links.get(record.node_id)
        if links is None:
            counted = self.now - self._absent_from[record.node_id]
            return replace(record, absent_seconds=record.absent_seconds + counted)
        link = links.get(record.instance)
        return (
            replace(record, last_seen=self.unix) if link is None else link.as_of(record, self.unix)
        )

    # --- time

    def begin(self, now: float, unix: float) -> None:
        self.now, self.unix, self._began = now, unix, unix

    def clock_set(self, seconds: float) -> None:
        """The wall clock was set by so much: corrects the times that this process has measured."""
        before, began = self.unix - seconds, self._began

        def move(at: float) -> float:
            return at + seconds if began <= at <= before else at

        for node_id, record in self._records.items():
            self._records[node_id] = shifted(record, move)
        for links in self._links.values():
            for link in links.values():
                link.shift(move)
        self.log.shift(move)
        self._began += seconds

    # --- connections

    def connected(
        self, node_id: str, instance: str, version: str, addresses: Iterable[str]
    ) -> None:
        """A peer has proved its membership. `addresses`: `host:port`, the best first."""
        given = tuple(addresses)
        links = self._links.setdefault(node_id, {})
        if instance not in links:
            links[instance] = MemberLink()
            self._say(node_id, PeerEventKind.CONNECTED, next(iter(given), ""))
        if node_id == self._own:  # a twin of this node is no other member
            return
        if self.departures.drop(node_id):
            self._has_news = True
        old = self._records.get(node_id)
        self._absent_from.pop(node_id, None)
        self._forgotten.discard(node_id)
        self._changed.add(node_id)
        if old is None:
            self._records[node_id] = RememberedPeer(
                node_id,
                instance,
                given[:MAX_ADDRESSES],
                version,
                self.unix,
                self.unix,
                0.0,
                b"",
                -1,
            )
            self._make_room()
            return
        self._records[node_id] = replace(
            self._as_of_now(old),
            instance=instance,
            addresses=_joined(given, old.addresses),
            version=version,
            absent_seconds=0.0,
        )

    def disconnected(
        self, node_id: str, instance: str, reason: str, has_left: bool
    ) -> Departure | None:
        """The last connection to an instance has ended; returns the departure if the node has left for good.

        `has_left`: whether the peer said so.
        """
        record = self.get(node_id)
        links = self._links[node_id]
        del links[instance]
        if links:
            self._say(node_id, PeerEventKind.DISCONNECTED, f"{reason}: {OTHER_INSTANCE}")
            if has_left and record is not None and record.instance == instance:
                # The others may be what a node that was killed has left behind.
                self._doubted[node_id] = self._departure_of(record), self.now, HEARD_BEFORE
            return None
        del self._links[node_id]
        doubted, _, why = self._doubted.pop(node_id, (None, 0.0, ""))
        if record is None:
            self._say(node_id, PeerEventKind.DISCONNECTED, reason)
            return None
        self._records[node_id] = record
        self._absent_from[node_id] = self.now
        self._changed.add(node_id)
        if has_left:
            return self._depart(record, PeerEventKind.LEFT, reason)
        self._say(node_id, PeerEventKind.DISCONNECTED, reason)
        if doubted is not None and doubted.instance == record.instance:
            return self._depart(record, PeerEventKind.LEFT, why, doubted)
        return None

    def dial_failed(self, peer: str, reason: str, is_refused: bool) -> None:
        """A dial to a peer has failed; `peer` is its node id, or its key in discovery."""
        kind = PeerEventKind.REFUSED if is_refused else PeerEventKind.FAILED
        self._has_news |= self.log.add_failure(self.unix, peer, kind, reason)

    # --- roots

    def told(self, node_id: str, instance: str, root: bytes, documents: int) -> None:
        """A connected peer has told its root; `documents` is -1 if it has not told their number."""
        self._links[node_id][instance].told(root, documents)
        doubted, since, _ = self._doubted.get(node_id, (None, 0.0, ""))
        if (
            doubted is not None
            and (doubted.instance == instance or doubted.instance not in self._links[node_id])
            and self.now - since >= HEARD_SECONDS
        ):
            del self._doubted[node_id]
            self.departures.refute(doubted)

    def compared(self, node_id: str, instance: str, is_equal: bool) -> None:
        """The root that a connected peer told was compared with that of this node."""
        kind = self._links[node_id][instance].compared(is_equal, self.now, self.unix)
        if kind is not None:
            is_long = kind is PeerEventKind.DIFFERENT
            self._say(node_id, kind, f"for {DIFFERENT_SECONDS:.0f} s" if is_long else "")

    # --- forgetting

    def forget(self, node_id: str) -> Departure:
        """Forgets an absent member by order of an operator."""
        record = self._records[node_id]
        return self._depart(record, PeerEventKind.FORGOTTEN, "an operator has said so")

    def departed(self, departure: Departure, teller: str) -> bool:
        """A peer has told of a departure. Returns whether it is to be passed on."""
        node_id = departure.node_id
        if not self._is_about(departure):
            return False
        if not self._teller_limits.take(teller, self.now):
            self.left_out += 1
            return False
        if node_id in self._links:
            self._doubted[node_id] = departure, self.now, f"{teller} had said that it leaves"
            return False
        record = self._records.get(node_id)
        if record is None:
            self.departures.add(departure, is_hearsay=True)
            self._has_news = True
        else:
            self._depart(record, PeerEventKind.FORGOTTEN, f"{teller} has said so", departure)
        return True

    def _is_about(self, departure: Departure) -> bool:
        """Whether a departure that is told changes what is known here."""
        node_id = departure.node_id
        if node_id == self._own or not self.departures.is_news(departure):
            return False
        if (links := self._links.get(node_id)) is not None:
            return departure.instance in links
        record = self._records.get(node_id)
        return record is None or ends(departure, record.instance, record.last_seen, self.unix)

    def block(self, node_id: str, reason: str) -> None:
        """An operator wants no connection to a node."""
        self.blocks.add(node_id, reason, self.unix)
        self._say(node_id, PeerEventKind.BLOCKED, reason)

    def unblock(self, node_id: str) -> bool:
        """Whether the node was blocked."""
        was_blocked = self.blocks.remove(node_id)
        if was_blocked:
            self._say(node_id, PeerEventKind.UNBLOCKED)
        return was_blocked

    def deletions_paused(self, paused: PausedDeletions) -> bool:
        """The store refuses the deletions of a peer. Whether that is news."""
        is_news = paused.node_id not in self.paused
        self.paused[paused.node_id] = paused
        if is_news:
            self._say(paused.node_id, PeerEventKind.PAUSED, "it made too many")
        return is_news

    def deletions_allowed(self, node_id: str) -> None:
        if self.paused.pop(node_id, None) is not None:
            self._say(node_id, PeerEventKind.ALLOWED)

    def expire(self) -> list[str]:
        """Forgets the members that are absent for longer than the retention, and returns their node ids."""
        since = self.now - self._retention
        due = [
            node_id
            for node_id, counted_from in self._absent_from.items()
            if counted_from - self._records[node_id].absent_seconds <= since
        ]
        for node_id in due:
            self._drop(node_id)
            self._say(node_id, PeerEventKind.FORGOTTEN, "it was absent for too long")
        return due

    def expire_departures(self) -> None:
        """Drops the departures that are older than the retention. Call it only while the wall clock is right."""
        self._has_news |= self.departures.expire(self.unix - self._retention)

    def _departure_of(self, record: RememberedPeer) -> Departure:
        at = round(self.unix * 1000) / 1000  # as peers are told it
        return Departure(record.node_id, record.instance, at)

    def _depart(
        self,
        record: RememberedPeer,
        kind: PeerEventKind,
        detail: str,
        departure: Departure | None = None,
    ) -> Departure:
        if departure is None:
            departure = self._departure_of(record)
        self._drop(record.node_id)
        self.departures.add(departure)
        self._say(record.node_id, kind, detail)
        return departure

    def _drop(self, node_id: str) -> None:
        del self._records[node_id]
        self._absent_from.pop(node_id, None)
        self._changed.discard(node_id)
        self._forgotten.add(node_id)

    def _make_room(self) -> None:
        while len(self._records) > MAX_REMEMBERED_PEERS and self._absent_from:
            self._drop(min(self._absent_from, key=lambda node_id: self._records[node_id].last_seen))

    def _say(self, peer: str, kind: PeerEventKind, detail: str = "") -> None:
        self.log.add(self.unix, peer, kind, detail)
        self._has_news = True

    # --- what the store keeps

    @property
    def is_changed(self) -> bool:
        """Whether the store should keep something soon."""
        return bool(self._changed or self._forgotten or self._has_news)

    def load(self, kept: MembershipReply) -> list[RememberedPeer]:
        """Adds what an earlier process kept, and returns the members that are absent."""
        self.is_read = True
        named = [departure for departure in kept.departures if is_name(departure.node_id)]
        for departure in named:
            if departure.node_id in self._records:
                self.departures.refute(departure)
                self._has_news = True
        self.departures.load(d for d in named if d.node_id not in self._records)
        for record in kept.peers:
            self._load_member(record)
        self._make_room()
        self.blocks.load(kept.blocked)
        self.paused |= {one.node_id: one for one in kept.paused}
        self.log.precede(kept.events)
        return self.absent()

    def _load_member(self, kept: RememberedPeer) -> None:
        node_id = kept.node_id
        departure = self.departures.get(node_id)
        mine = self._records.get(node_id)
        if (
            not is_name(node_id)
            or node_id == self._own
            or (departure and ends(departure, kept.instance, kept.last_seen, self.unix))
        ):  # an earlier version took other names
            self._forgotten.add(node_id)
        elif mine is None:
            self._records[node_id] = replace(kept, version=cleaned(kept.version))
            self._absent_from[node_id] = self.now
        else:
            self._changed.add(node_id)
            self._records[node_id] = replace(
                mine,
                addresses=_joined(mine.addresses, kept.addresses),
                first_seen=min(mine.first_seen, kept.first_seen),
                last_equal=mine.last_equal or kept.last_equal,
                root=mine.root or kept.root,
                documents=mine.documents if mine.root else kept.documents,
            )

    def take_changes(self, *, with_connected: bool, with_absent: bool) -> KeepMembership:
        """What the store is to keep: all that has changed, and on demand the times of the other members."""
        names = set(self._changed)
        if with_connected:
            names |= self._links.keys() & self._records.keys()
        if with_absent:
            names |= self._absent_from.keys()
        keep = KeepMembership(
            tuple([self._as_of_now(self._records[name]) for name in sorted(names)]),
            tuple(sorted(self._forgotten)),
            tuple(self.departures),
            self.log.events,
            tuple(self.blocks),
        )
        self._changed.clear()
        self._forgotten.clear()
        self._has_news = False
        return keep

    def put_back(self, keep: KeepMembership) -> None:
        """The store has not kept this: it is changed still."""
        self._changed |= {peer.node_id for peer in keep.peers} & self._records.keys()
        self._forgotten |= set(keep.forgotten) - self._records.keys()
        self._has_news = True


def _joined(first: Iterable[str], then: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *then)))[:MAX_ADDRESSES]
