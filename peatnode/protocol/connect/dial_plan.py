"""Decides which peer is dialled, at which address and when.

Backoff has jitter, the addresses of a peer are tried in turn, and neither this node nor a connected peer is
dialled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
TIE_BREAK_DELAY = 0.5
"""Seconds by which the larger of two instances delays its first dial, to avoid a second connection."""

STABLE_SECONDS = 5.0
"""A peer is dialled again at once after a connection that lasted this long."""


class Uniform(Protocol):
    """A generator of numbers from 0 to 1, such as `random.Random`."""

    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Dial:
    """One dial that is due."""

    key: str
    address: Address
    number: int
    """Sequential number among all dials of this process."""
    use_min_datagram: bool
    """Whether to use the smallest datagrams, as every second round does: the path may drop larger ones."""


@dataclass(slots=True)
class Target:
    """A discovered peer and the state of the dials to it."""

    peer: DiscoveredPeer
    state: PeerStatus | None = PeerStatus.DISCOVERED
    """None: the target is this node itself, or has no address; it is not shown as a peer."""
    reason: str = ""
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

    def addresses(self) -> list[Address]:
        """The addresses that are worth dialling."""
        useless = self.own_addresses | self.wrong_identity_addresses.keys()
        return [address for address in self.peer.addresses if address not in useless]


class DialPlan:
    """The targets of a node. Discovery adds and removes them; those without a connection are dialled.

    `next_due` is the time at which to call `take_due`, which returns the dials to make.
    """

    def __init__(self, instance: str, randomness: Uniform) -> None:
        self.targets: dict[str, Target] = {}
        self._instance = instance
        self._random = randomness
        self._connected: dict[str, tuple[str, float]] = {}
        """Node id and start of the connection, by instance."""
        self._dials = 0

    def found(self, peer: DiscoveredPeer, now: float) -> None:
        """Adds a peer, or replaces its addresses and metadata."""
        target = self.targets.get(peer.key)
        is_new = target is None
        if target is None:
            target = self.targets[peer.key] = Target(peer)
        old, target.peer = target.peer, peer
        if is_new or (old.addresses, old.instance) != (peer.addresses, peer.instance):
            target.tries = 0
            target.own_addresses.clear()
            target.wrong_identity_addresses.clear()
            if target.state != PeerStatus.DIALLING:
                self._plan(target, now, self._tie_break_delay(peer))

    def lost(self, key: str) -> None:
        """Removes a peer that no source reports any more. An existing connection to it stays open."""
        self.targets.pop(key, None)

    def _tie_break_delay(self, peer: DiscoveredPeer) -> float:
        return TIE_BREAK_DELAY if peer.instance and peer.instance < self._instance else 0.0

    def _plan(self, target: Target, now: float, seconds: float) -> None:
        if self.is_covered(target):
            target.state, target.due = PeerStatus.CONNECTED, None
        elif target.addresses() and target.peer.instance != self._instance:
            target.state = PeerStatus.WAITING if target.tries else PeerStatus.DISCOVERED
            target.due = now + seconds
        elif target.wrong_identity_addresses:
            target.state, target.due = PeerStatus.REFUSED, None
        else:
            target.state, target.due = None, None

    def is_covered(self, target: Target) -> bool:
        """Whether an existing connection leads to the target."""
        if target.instance in self._connected or target.peer.instance in self._connected:
            return True
        if target.peer.instance or not target.peer.node_id:
            return False
        return any(node_id == target.peer.node_id for node_id, _ in self._connected.values())

    def discovered_peer_of(self, node_id: str, instance: str) -> DiscoveredPeer | None:
        """The entry of discovery for a connected peer; None if discovery does not know it."""
        for target in self.targets.values():
            if instance in (target.instance, target.peer.instance):
                return target.peer
        return next((t.peer for t in self.targets.values() if t.peer.node_id == node_id), None)

    @property
    def has_others(self) -> bool:
        """Whether a target is, as far as is known, another node."""
        return any(target.state is not None for target in self.targets.values())

    @property
    def next_due(self) -> float | None:
        return min((t.due for t in self.targets.values() if t.due is not None), default=None)

    def take_due(self, now: float) -> list[Dial]:
        """Returns the dials that are due. Each is answered by `failed`, `reached_self` or `connected`."""
        dials = []
        for key, target in self.targets.items():
            if target.due is None or target.due > now:
                continue
            addresses = target.addresses()
            target.due = None
            target.state = PeerStatus.DIALLING
            self._dials += 1
            address = target.dialled = addresses[target.tries % len(addresses)]
            use_min_datagram = (target.tries // len(addresses)) % 2 == 1
            dials.append(Dial(key, address, self._dials, use_min_datagram))
        return dials

    def failed(self, key: str, reason: str, now: float, *, is_refused: bool = False) -> None:
        """A dial failed, or its connection was closed before it counted. Plans the next dial."""
        target = self.targets.get(key)
        if target is None or target.state != PeerStatus.DIALLING:
            return
        target.tries += 1
        target.reason = reason
        rounds = (target.tries - 1) // max(1, len(target.addresses()))
        if is_refused:
            rounds += 3
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(rounds, 20))
        self._plan(target, now, seconds * (0.5 + 0.5 * self._random.random()))
        if is_refused and target.due is not None:
            target.state = PeerStatus.REFUSED

    def reached_self(self, key: str, address: Address, now: float) -> None:
        """A dial reached this node itself. The address is not dialled again."""
        target = self.targets.get(key)
        if target is not None:
            target.own_addresses.add(address)
            self.failed(key, "the address belongs to this node", now)

    def connected(self, key: str, node_id: str, instance: str, now: float) -> None:
        """A connection is authenticated. `key` is that of the dial, or empty if the peer dialled."""
        self._connected.setdefault(instance, (node_id, now))
        target = self.targets.get(key)
        if target is not None and target.peer.node_id in ("", node_id):
            target.instance, target.node_id = instance, node_id
        elif target is not None and target.dialled is not None:
            target.wrong_identity_addresses[target.dialled] = instance
            self.failed(key, f"another node, {node_id}, answers at its address", now)
        for other in self.targets.values():
            if self.is_covered(other):
                other.state, other.due, other.reason = PeerStatus.CONNECTED, None, ""

    def disconnected(self, instance: str, reason: str, now: float) -> None:
        """The last connection to an instance has ended."""
        covered = [t for t in self.targets.values() if t.state == PeerStatus.CONNECTED]
        _, since = self._connected.pop(instance, ("", now))
        for target in self.targets.values():
            if instance in target.wrong_identity_addresses.values():
                kept = {a: i for a, i in target.wrong_identity_addresses.items() if i != instance}
                target.wrong_identity_addresses = kept
                if target.state == PeerStatus.REFUSED and target.due is None:
                    self._plan(target, now, FIRST_SECONDS * (0.5 + 0.5 * self._random.random()))
        for target in covered:
            if self.is_covered(target):
                continue
            was_stable = now - since >= STABLE_SECONDS
            target.tries = 0 if was_stable else target.tries + 1
            target.reason = reason
            seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(target.tries, 20))
            self._plan(target, now, seconds * (0.5 + 0.5 * self._random.random()))
