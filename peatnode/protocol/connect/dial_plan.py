"""Which peer to dial, at which address and when.

Backoff has jitter, the addresses of a peer take turns, and neither this node nor a connected peer is dialled.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
TIE_BREAK_DELAY = 0.5
"""Seconds by which the larger of two instances delays its first dial, so that one connection results and not two."""

STABLE_SECONDS = 5.0
"""A peer is dialled again at once after a connection that lasted this long."""


class Uniform(Protocol):
    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Dial:
    """One dial that is due."""

    key: str
    address: Address
    number: int
    """Counts all dials of this process."""
    use_min_datagram: bool
    """The path may drop larger datagrams: every second round of dials uses the smallest."""


@dataclass(slots=True)
class Target:
    """A discovered peer, and how far the dials to it are."""

    peer: DiscoveredPeer
    state: PeerStatus | None = PeerStatus.DISCOVERED
    """None: the target is this node itself, or has no address; it is not shown as a peer."""
    reason: str = ""
    instance: str = ""
    """Of the node that the last dial reached."""
    node_id: str = ""
    """Of the same node."""
    tries: int = 0
    due: float | None = None
    own_addresses: set[Address] = field(default_factory=set)
    """Addresses that lead back to this node."""
    wrong_identity_addresses: dict[Address, str] = field(default_factory=dict)
    """Addresses at which a node of another name answered, with the instance of that node."""
    dialled: Address | None = None

    def addresses(self) -> list[Address]:
        useless = self.own_addresses | self.wrong_identity_addresses.keys()
        return [one for one in self.peer.addresses if one not in useless]


class DialPlan:
    """The targets of a node: discovery adds and removes them, connections cover them, the rest is dialled.

    `next_due` is the time at which to call `take_due`, which returns the dials to make.
    """

    def __init__(self, instance: str, randomness: Uniform) -> None:
        self.targets: dict[str, Target] = {}
        self._instance = instance
        self._random = randomness
        self._connected: dict[str, tuple[str, float]] = {}
        """By instance: node id and start of the connection."""
        self._dials = 0

    def found(self, peer: DiscoveredPeer, now: float) -> None:
        """Adds a peer, or replaces what discovery knew of it."""
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
        """No source has the peer any more: it is not dialled again. A connection to it stays."""
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
        """What discovery knows of a connected peer."""
        for target in self.targets.values():
            if instance in (target.instance, target.peer.instance):
                return target.peer
        return next((t.peer for t in self.targets.values() if t.peer.node_id == node_id), None)

    @property
    def next_due(self) -> float | None:
        return min((t.due for t in self.targets.values() if t.due is not None), default=None)

    def take_due(self, now: float) -> list[Dial]:
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
        """A dial failed, or its connection was not kept: plans the next one."""
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

    def reached_ourselves(self, key: str, address: Address, now: float) -> None:
        """A dial reached this node itself: the address is not dialled again."""
        target = self.targets.get(key)
        if target is not None:
            target.own_addresses.add(address)
            self.failed(key, "this is ourselves", now)

    def connected(self, key: str, node_id: str, instance: str, now: float) -> None:
        """A connection is authenticated; `key` is empty where the other side dialled."""
        self._connected.setdefault(instance, (node_id, now))
        target = self.targets.get(key)
        if target is not None and target.peer.node_id in ("", node_id):
            target.instance, target.node_id = instance, node_id
        elif target is not None and target.dialled is not None:
            target.wrong_identity_addresses[target.dialled] = instance
            self.failed(key, f"{node_id} answers where it should be", now)
        for one in self.targets.values():
            if self.is_covered(one):
                one.state, one.due, one.reason = PeerStatus.CONNECTED, None, ""

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
