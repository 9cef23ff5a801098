"""What the store keeps about peers: an entry for each that is remembered, the departures, the blocked ones, the log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgpack

from peatnode.codec.records import STORED, fields_getter, record_reader, unpack
from peatnode.documents.replica.keyspace import BLOCKED, DEPARTURES, PEER, PEER_LOG, after
from peatnode.documents.replica.replica import Replica
from peatnode.errors import MalformedFrame
from peatnode.ipc.messages import Failure, KeepMembership, MembershipKept, MembershipReply
from peatnode.model.members import (
    MAX_BLOCKED_PEERS,
    MAX_PEER_EVENTS,
    MAX_REMEMBERED_PEERS,
    BlockedPeer,
    Departure,
    PeerEvent,
    RememberedPeer,
)
from peatnode.model.peer_limits import MAX_DEPARTURES
from peatnode.worker.shell import WorkerShell
from workers.store.engine.refusal import RequestRefused

NAMED = 3
"""Damaged entries that the problem names."""

_read_peer = record_reader(RememberedPeer, STORED)
_read_departure = record_reader(Departure, STORED)
_read_event = record_reader(PeerEvent, STORED)
_read_block = record_reader(BlockedPeer, STORED)
_fields_of = {
    cls: fields_getter(cls) for cls in (RememberedPeer, Departure, PeerEvent, BlockedPeer)
}


class MemberObserver(Protocol):
    """Is told what could not be read."""

    def damaged(self, names: Sequence[str]) -> None:
        """These entries are damaged: they are left out, and removed by the next write."""


class KeptMembers:
    """Reads what is kept about peers, and changes it in the open batch. It holds none of it in memory."""

    def __init__(self, replica: Replica, observer: MemberObserver) -> None:
        self._replica = replica
        self._observer = observer
        self._damaged: dict[bytes, str] = {}
        """Keys of the damaged entries that the last reading found, and what they were about."""

    def read(self) -> MembershipReply:
        """All of it, without what is damaged. Raises StorageFailed."""
        reply = self._read()
        if self._damaged:
            self._observer.damaged(list(self._damaged.values()))
        return reply

    def _read(self) -> MembershipReply:
        self._damaged.clear()
        return MembershipReply(
            tuple(self._peers()),
            tuple(self._listed(DEPARTURES, _read_departure, "the list of departures")),
            tuple(self._listed(PEER_LOG, _read_event, "the log of peers")),
            tuple(self._listed(BLOCKED, _read_block, "the list of blocked nodes")),
        )

    def keep(self, change: KeepMembership) -> MembershipKept:
        """Takes a change into the open batch. Raises RequestRefused, and StorageFailed if an entry cannot be read."""
        _check(change)
        self._remove_damaged()
        for node_id in (*change.forgotten, *self._beyond_room(change)):
            self._replica.put(PEER + node_id.encode(), None)
        for peer in change.peers:
            self._replica.put(PEER + peer.node_id.encode(), _packed(peer))
        self._replica.put(DEPARTURES, msgpack.packb([*map(_fields, change.departures)]))
        self._replica.put(BLOCKED, msgpack.packb([*map(_fields, change.blocked)]))
        self._replica.put(PEER_LOG, msgpack.packb([*map(_fields, change.events)]))
        return MembershipKept()

    def _remove_damaged(self) -> None:
        if self._damaged:
            self._read()  # an earlier change may have removed them, or written them anew
        for key in self._damaged:
            if key not in self._replica.open_batch.extra:
                self._replica.put(key, None)

    def _beyond_room(self, change: KeepMembership) -> list[str]:
        """The peers to drop, the longest absent first, so that no more are kept than may be."""
        stored = self._replica.kv.scan(PEER, after(PEER))
        names = {key[len(PEER) :].decode(errors="replace") for key, _ in stored}
        names.difference_update(change.forgotten)
        room = MAX_REMEMBERED_PEERS - len(change.peers)
        others = names.difference([peer.node_id for peer in change.peers])
        if len(others) <= room:
            return []
        seen = {peer.node_id: peer.last_seen for peer in self._peers()}
        return sorted(others, key=lambda name: seen.get(name, 0.0))[: len(others) - room]

    def _peers(self) -> Iterator[RememberedPeer]:
        for key, data in self._replica.kv.scan(PEER, after(PEER)):
            name = key[len(PEER) :].decode(errors="replace")
            try:
                peer: RememberedPeer = _read_peer(unpack(data, STORED))
                if peer.node_id != name:
                    raise MalformedFrame("it is the entry of another peer")
            except MalformedFrame:
                self._damaged[key] = name
            else:
                yield peer

    def _listed(self, key: bytes, read: Any, name: str) -> Iterator[Any]:
        data = self._replica.kv.get(key)
        if data is None:
            return
        try:
            items = unpack(data, STORED)
            if type(items) is not tuple:
                raise MalformedFrame("it is no list")
        except MalformedFrame:
            self._damaged[key] = name
            return
        for item in items:
            try:
                yield read(item)
            except MalformedFrame:
                self._damaged[key] = name


class MemberReports:
    """Tells the operator of damaged entries: in the log, and as a problem of the node until its next start."""

    def __init__(self, shell: WorkerShell) -> None:
        self._shell = shell

    def damaged(self, names: Sequence[str]) -> None:
        self._shell.log.error("What was kept of peers is damaged and is dropped", peers=list(names))
        others = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
        self._shell.raise_problem(
            "members",
            f"what was kept of {', '.join(names[:NAMED])}{others} was damaged and is dropped: if such a peer is "
            "absent, this node does not know it any more",
            "Check the disk. A peer that connects is remembered again. A restart ends this notice.",
        )


def _check(change: KeepMembership) -> None:
    """Raises RequestRefused."""
    for field, count, limit in (
        ("peers", len(change.peers), MAX_REMEMBERED_PEERS),
        ("forgotten", len(change.forgotten), MAX_REMEMBERED_PEERS),
        ("departures", len(change.departures), MAX_DEPARTURES),
        ("blocked", len(change.blocked), MAX_BLOCKED_PEERS),
        ("events", len(change.events), MAX_PEER_EVENTS),
    ):
        if count > limit:
            raise RequestRefused(Failure.INVALID, f"{count} {field}: at most {limit}", field)
    if not all(peer.node_id for peer in change.peers):
        raise RequestRefused(Failure.INVALID, "a peer has no node id", "peers")


def _fields(record: Any) -> tuple[Any, ...]:
    return _fields_of[type(record)](record)


def _packed(record: Any) -> bytes:
    packed: bytes = msgpack.packb(_fields(record))
    return packed
