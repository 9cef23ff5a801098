"""A peer that is dialled, and how the dials to it went."""

from __future__ import annotations

from dataclasses import dataclass, field

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus

VERDICT_SECONDS = 600.0
"""An address that led to another node, or to this one, is dialled again after this time: it may have another owner."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an authenticated answer says about an address."""

    instance: str
    """Of the node with another id that answered; empty: the address leads back to this node."""
    until: float


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
    verdicts: dict[Address, Verdict] = field(default_factory=dict)
    """Why addresses are not dialled for a while."""
    dialled: Address | None = None

    @property
    def name(self) -> str:
        """The node id if it is known, else the key of the discovered peer."""
        return self.peer.node_id or self.node_id or self.peer.key

    def addresses(self, now: float) -> list[Address]:
        """The addresses that are worth dialling."""
        for address in [a for a, verdict in self.verdicts.items() if verdict.until <= now]:
            del self.verdicts[address]
        return [address for address in self.peer.addresses if address not in self.verdicts]

    @property
    def is_ourselves(self) -> bool:
        """Whether all that is known of its addresses is that they lead to this node itself."""
        return bool(self.verdicts) and not any(v.instance for v in self.verdicts.values())

    def begin_anew(self, peer: DiscoveredPeer) -> None:
        """Other addresses, or another instance: what was found at the old ones does not count."""
        self.peer = peer
        self.tries = 0
        self.verdicts.clear()

    def count_failure(self, reason: str, now: float) -> None:
        self.tries += 1
        self.reason = reason
        if self.failing_since is None:
            self.failing_since = now

    def is_reached(self) -> None:
        """A connection leads to it."""
        self.state, self.due, self.reason, self.failing_since = PeerStatus.CONNECTED, None, "", None
