"""Decides which peer is dialled, at which address and when.

Backoff has jitter, the addresses of a peer are tried in turn, and neither this node nor a connected peer is
dialled. Members that are absent are dialled as well, where they were, at a bounded rate: never instead of a peer that
discovery has found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from peatnode.model.peers import Address, DiscoveredPeer
from peatnode.model.states import PeerStatus
from peatnode.protocol.connect.dial_rate import DialRate
from peatnode.protocol.connect.target import VERDICT_SECONDS, Target, Verdict

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
TIE_BREAK_DELAY = 0.5
"""Seconds by which the larger of two instances delays its first dial, to avoid a second connection."""

STABLE_SECONDS = 5.0
"""A peer is dialled again at once after a connection that lasted this long."""


MEMBER_DELAY = 2.0
"""Seconds by which the first dial to an absent member is delayed: discovery knows better where it is now."""


BLOCKED_SECONDS = 600.0
"""An address without a node id at which a blocked node answered is dialled again after this time."""

_IN_PROGRESS = (PeerStatus.DIALLING, PeerStatus.CONNECTED)


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


class DialPlan:
    """The targets of a node. Discovery and the book of members add and remove them; those without a connection are
    dialled.

    `next_due` is the time at which to call `take_due`, which returns the dials to make.
    """

    def __init__(self, instance: str, randomness: Uniform, node_id: str = "") -> None:
        self.targets: dict[str, Target] = {}
        """By the key of discovery, or `member_key`."""
        self._found: dict[str, Target] = {}
        """Those of them that discovery has found."""
        self._discovered: Counter[Address] = Counter()
        """How many discovered peers have this address."""
        self._rate = DialRate()
        self._instance = instance
        self._node_id = node_id
        self._random = randomness
        self._connected: dict[str, tuple[str, float]] = {}
        """Node id and start of the connection, by instance."""
        self._connected_ids: Counter[str] = Counter()
        self._blocked: set[str] = set()
        """Node ids."""
        self._dials = 0

    def found(self, peer: DiscoveredPeer, now: float) -> None:
        """Adds a peer, or replaces its addresses and metadata."""
        target = self.targets.get(peer.key)
        old = target.peer if target else None
        if target is None:
            target = self.targets[peer.key] = self._found[peer.key] = Target(peer)
        self._count_addresses(old, peer)
        target.peer = peer
        if old is None or (old.addresses, old.instance) != (peer.addresses, peer.instance):
            target.begin_anew(peer)
            if target.state != PeerStatus.DIALLING:
                self._plan(target, now, self._tie_break_delay(peer))

    def lost(self, key: str) -> None:
        """Removes a peer that no source reports any more. An existing connection to it stays open."""
        target = self._found.pop(key, None)
        if target is None:
            return
        del self.targets[key]
        self._count_addresses(target.peer, None)
        member = self.targets.get(member_key(target.name))
        if member is not None and member.failing_since is None:
            member.reason, member.failing_since = target.reason, target.failing_since

    def _count_addresses(self, old: DiscoveredPeer | None, new: DiscoveredPeer | None) -> None:
        for address in new.addresses if new else ():
            self._discovered[address] += 1
        for address in old.addresses if old else ():
            self._discovered[address] -= 1
            if not self._discovered[address]:
                del self._discovered[address]

    def remember(self, node_id: str, addresses: Iterable[str], now: float) -> None:
        """A member is absent; it was reached at these addresses (`host:port`), the best first."""
        key = member_key(node_id)
        parsed = (Address.parse(address) for address in addresses)
        known = tuple(dict.fromkeys([address for address in parsed if address is not None]))
        peer = DiscoveredPeer(key, node_id, "", known, (), False, False, ())
        target = self.targets.get(key)
        if target is None:
            target = self.targets[key] = Target(peer, is_discovered=False)
        elif target.peer == peer:
            return
        target.begin_anew(peer)
        if target.state != PeerStatus.DIALLING:
            self._plan(target, now, 0.0)

    def forget(self, node_id: str) -> None:
        """The node is no member any more. What discovery knows of it stays."""
        self.targets.pop(member_key(node_id), None)

    def block(self, node_id: str, now: float) -> None:
        """The node is not dialled any more."""
        self._blocked.add(node_id)
        for target in self.targets.values():
            if target.name == node_id and target.state not in _IN_PROGRESS:
                self._plan(target, now, 0.0)

    def unblock(self, node_id: str, now: float) -> None:
        self._blocked.discard(node_id)
        for target in self.targets.values():
            if target.name == node_id and target.state == PeerStatus.BLOCKED:
                target.tries = 0
                self._plan(target, now, 0.0)

    def _tie_break_delay(self, peer: DiscoveredPeer) -> float:
        return TIE_BREAK_DELAY if peer.instance and peer.instance < self._instance else 0.0

    def _plan(self, target: Target, now: float, seconds: float) -> None:
        if not target.is_discovered and not target.tries:
            seconds += MEMBER_DELAY * (0.5 + 0.5 * self._random.random())
        if self.is_covered(target):
            target.is_reached()
        elif target.name in self._blocked:
            # Where a node without a known id answered, another one may answer later.
            target.state = PeerStatus.BLOCKED
            target.due = None if target.peer.node_id else now + BLOCKED_SECONDS
        elif target.peer.instance == self._instance:
            target.state, target.due = None, None
        elif target.addresses(now):
            target.state = PeerStatus.WAITING if target.tries else PeerStatus.DISCOVERED
            target.due = now + seconds
        elif target.verdicts:
            target.state = self._state_of_verdicts(target)
            target.due = min(verdict.until for verdict in target.verdicts.values())
        else:
            target.state, target.due = None, None

    def _state_of_verdicts(self, target: Target) -> PeerStatus | None:
        if not target.is_ourselves:
            return PeerStatus.REFUSED
        # What is found of this node itself under its own name is nothing to report.
        return None if target.peer.node_id == self._node_id else PeerStatus.OURSELVES

    def is_covered(self, target: Target) -> bool:
        """Whether an existing connection leads to the target."""
        if target.instance in self._connected or target.peer.instance in self._connected:
            return True
        if target.peer.instance or not target.peer.node_id:
            return False
        return self._connected_ids[target.peer.node_id] > 0

    def discovered_peer_of(self, node_id: str, instance: str) -> DiscoveredPeer | None:
        """The entry of discovery for a connected peer; None if discovery does not know it."""
        found = self._found.values()
        for target in found:
            if instance in (target.instance, target.peer.instance):
                return target.peer
        return next((target.peer for target in found if target.peer.node_id == node_id), None)

    @property
    def has_others(self) -> bool:
        """Whether discovery knows a peer that is, as far as is known, another node."""
        no_others = (None, PeerStatus.BLOCKED, PeerStatus.OURSELVES)
        return any(target.state not in no_others for target in self._found.values())

    @property
    def discovered_keys(self) -> set[str]:
        return set(self._found)

    @property
    def next_due(self) -> float | None:
        free_at = self._rate.free_at
        dues = [
            t.due if t.is_discovered else max(t.due, free_at)
            for t in self.targets.values()
            if t.due is not None
        ]
        return min(dues, default=None)

    def take_due(self, now: float) -> list[Dial]:
        """Returns the dials that are due. Each is answered by `failed`, `reached_self` or `connected`."""
        due = [t for t in self.targets.values() if t.due is not None and t.due <= now]
        dials = [self._dial(t, t.addresses(now)) for t in due if t.is_discovered]
        members = [t for t in due if not t.is_discovered]
        for target in sorted(members, key=lambda t: t.due or 0.0):
            # Where discovery has found a peer, that peer is dialled.
            addresses = [a for a in target.addresses(now) if a not in self._discovered]
            if not addresses:
                self._plan(target, now, LONGEST_SECONDS * (0.5 + 0.5 * self._random.random()))
            elif self._rate.take(now):
                dials.append(self._dial(target, addresses))
            else:
                break
        return dials

    def _dial(self, target: Target, addresses: list[Address]) -> Dial:
        target.due = None
        target.state = PeerStatus.DIALLING
        self._dials += 1
        address = target.dialled = addresses[target.tries % len(addresses)]
        use_min_datagram = (target.tries // len(addresses)) % 2 == 1
        return Dial(target.peer.key, address, self._dials, use_min_datagram)

    def failed(self, key: str, reason: str, now: float, *, is_refused: bool = False) -> None:
        """A dial failed, or its connection was closed before it counted. Plans the next dial."""
        target = self.targets.get(key)
        if target is None or target.state != PeerStatus.DIALLING:
            return
        target.count_failure(reason, now)
        rounds = (target.tries - 1) // max(1, len(target.addresses(now)))
        if is_refused:
            rounds += 3
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(rounds, 20))
        self._plan(target, now, seconds * (0.5 + 0.5 * self._random.random()))
        if is_refused and target.due is not None:
            target.state = PeerStatus.REFUSED

    def reached_self(self, key: str, address: Address, now: float) -> None:
        """A dial reached this node itself. The address is not dialled for VERDICT_SECONDS."""
        target = self.targets.get(key)
        if target is not None:
            target.verdicts[address] = Verdict("", now + VERDICT_SECONDS)
            self.failed(key, f"{address} leads to this node itself", now)

    def connected(self, key: str, node_id: str, instance: str, now: float) -> None:
        """A connection is authenticated. `key` is that of the dial, or empty if the peer dialled."""
        if instance not in self._connected:
            self._connected[instance] = node_id, now
            self._connected_ids[node_id] += 1
        target = self.targets.get(key)
        if target is not None and target.peer.node_id in ("", node_id):
            target.instance, target.node_id = instance, node_id
        elif target is not None and target.dialled is not None:
            target.verdicts[target.dialled] = Verdict(instance, now + VERDICT_SECONDS)
            self.failed(key, f"another node, {node_id}, answers at its address", now)
        for other in self.targets.values():
            if self.is_covered(other):
                other.is_reached()

    def disconnected(self, instance: str, reason: str, now: float) -> None:
        """The last connection to an instance has ended."""
        covered = [t for t in self.targets.values() if t.state == PeerStatus.CONNECTED]
        node_id, since = self._connected.pop(instance, ("", now))
        self._connected_ids -= Counter((node_id,))
        for target in self.targets.values():
            kept = {a: v for a, v in target.verdicts.items() if v.instance != instance}
            if len(kept) < len(target.verdicts):
                was_useless = not target.addresses(now)
                target.verdicts = kept
                if target.state == PeerStatus.REFUSED and was_useless:
                    self._plan(target, now, FIRST_SECONDS * (0.5 + 0.5 * self._random.random()))
        for target in covered:
            if self.is_covered(target):
                continue
            was_stable = now - since >= STABLE_SECONDS
            target.tries = 0 if was_stable else target.tries + 1
            target.reason = reason
            seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(target.tries, 20))
            self._plan(target, now, seconds * (0.5 + 0.5 * self._random.random()))


def member_key(node_id: str) -> str:
    """The key of the target for an absent member. No key of discovery has a space."""
    return f"member {node_id}"
