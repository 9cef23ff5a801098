"""A peer that is dialled, and how the dials to it went."""

from __future__ import annotations

from dataclasses import dataclass, field

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus


@dataclass(slots=True)
class Target:
    """A peer that discovery has found, or a member that is absent, and the state of the dials to it."""

    peer: DiscoveredPeer
    is_discovered: bool = True
    """False: a member at the addresses that it had, whether discovery knows it or not."""
    state: PeerStatus | None = PeerStatus.DISCOVERED
    """None: the target is this node itself, or has no address; it is not shown as a peer."""
    reason: str = ""
    failing_since: float | None = None
    """When the first dial failed of those that have failed without a break; None: none has."""
    instance: str = ""
    """Instance of the node that the last dial reached."""
    node_id: str = ""
    """Node id of the node that the last dial reached."""
    tries: int = 0
    due: float | None = None
    own_addresses: set[Address] = field(default_factory=set)
    """Addresses that lead back to this node."""
    wrong_identity_addresses: dict[Address, str] = field(default_factory=dict)
    """Addresses at which a node with another id answered, and the instance of that node."""
    dialled: Address | None = None

    @property
    def name(self) -> str:
        """The node id if it is known, else the key of the discovered peer."""
        return self.peer.node_id or self.node_id or self.peer.key

    def addresses(self) -> list[Address]:
        """The addresses that are worth dialling."""
        useless = self.own_addresses | self.wrong_identity_addresses.keys()
        return [address for address in self.peer.addresses if address not in useless]

    def begin_anew(self, peer: DiscoveredPeer) -> None:
        """Other addresses, or another instance: what was found at the old ones does not count."""
        self.peer = peer
        self.tries = 0
        self.own_addresses.clear()
        self.wrong_identity_addresses.clear()

    def count_failure(self, reason: str, now: float) -> None:
        self.tries += 1
        self.reason = reason
        if self.failing_since is None:
            self.failing_since = now

    def is_reached(self) -> None:
        """A connection leads to it."""
        self.state, self.due, self.reason, self.failing_since = PeerStatus.CONNECTED, None, "", None
