"""What a store keeps about peers, as the worker does, in memory."""

from __future__ import annotations

from peatnode.model.members import (
    BlockedPeer,
    Departure,
    KeepMembership,
    MembershipKept,
    MembershipReply,
    PeerEvent,
    ReadMembership,
    RememberedPeer,
)


class MembersInMemory:
    """It survives the death of what owns it, as a disk does."""

    def __init__(self) -> None:
        self.peers: dict[str, RememberedPeer] = {}
        self.departures: tuple[Departure, ...] = ()
        self.events: tuple[PeerEvent, ...] = ()
        self.blocked: tuple[BlockedPeer, ...] = ()
        self.writes = 0

    def answer(self, question: ReadMembership | KeepMembership) -> MembershipReply | MembershipKept:
        match question:
            case ReadMembership():
                peers = tuple(self.peers.values())
                return MembershipReply(peers, self.departures, self.events, self.blocked)
            case KeepMembership():
                self.writes += 1
                for node_id in question.forgotten:
                    self.peers.pop(node_id, None)
                self.peers |= {peer.node_id: peer for peer in question.peers}
                self.departures, self.events = question.departures, question.events
                self.blocked = question.blocked
                return MembershipKept()
