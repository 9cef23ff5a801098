"""Whom to dial, where and when: jittered backoff, addresses in turn, never ourselves, nobody twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from peatnode.model.states import PeerStatus

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
TIE_BREAK_DELAY = 0.5
"""The larger of two instances lets the smaller dial first: one connection instead of two."""

ENDURED_SECONDS = 5.0
"""A connection that lasted as long is dialled again at once."""

Address = tuple[str, int]


class Uniform(Protocol):
    def random(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A peer as discovery knows it."""

    key: str
    node_id: str
    instance: str
    addresses: tuple[Address, ...]
    sources: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Dial:
    key: str
    address: Address
    number: int
    """Counts all dials of this process."""
    use_min_datagram: bool
    """Use the smallest datagrams: the larger ones may not have got through."""


@dataclass(slots=True)
class Target:
    found: Found
    state: PeerStatus | None = PeerStatus.DISCOVERED
    """None: every address leads back to this node, or there is none, so that there is no peer to show."""
    reason: str = ""
    instance: str = ""
    """Whom the last dial led to."""
    node_id: str = ""
    """The name of the same."""
    tries: int = 0
    due: float | None = None
    own_addresses: set[Address] = field(default_factory=set)
    """Those that led back to ourselves."""
    wrong_identity_addresses: dict[Address, str] = field(default_factory=dict)
    """Those at which a node of another name answered, and its instance."""
    dialled: Address | None = None

    def addresses(self) -> list[Address]:
        useless = self.own_addresses | self.wrong_identity_addresses.keys()
        return [one for one in self.found.addresses if one not in useless]


class DialPlan:
    """All targets of a node. `next_due` says when to call `take_due`."""

    def __init__(self, instance: str, randomness: Uniform) -> None:
        self.targets: dict[str, Target] = {}
        self._instance = instance
        self._random = randomness
        self._connected: dict[str, tuple[str, float]] = {}
        """Instance to node id and since when."""
        self._dials = 0

    def found(self, found: Found, now: float) -> None:
        """A peer is known, or something of it has changed."""
        target = self.targets.get(found.key)
        is_new = target is None
        if target is None:
            target = self.targets[found.key] = Target(found)
        old, target.found = target.found, found
        if is_new or (old.addresses, old.instance) != (found.addresses, found.instance):
            target.tries = 0
            target.own_addresses.clear()
            target.wrong_identity_addresses.clear()
            if target.state != PeerStatus.DIALLING:
                self._plan(target, now, self._tie_break_delay(found))

    def lost(self, key: str) -> None:
        """No source has it any more: it is not dialled again. A connection stays."""
        self.targets.pop(key, None)

    def _tie_break_delay(self, found: Found) -> float:
        return TIE_BREAK_DELAY if found.instance and found.instance < self._instance else 0.0

    def _plan(self, target: Target, now: float, seconds: float) -> None:
        if self.is_covered(target):
            target.state, target.due = PeerStatus.CONNECTED, None
        elif target.addresses() and target.found.instance != self._instance:
            target.state = PeerStatus.WAITING if target.tries else PeerStatus.DISCOVERED
            target.due = now + seconds
        elif target.wrong_identity_addresses:
            target.state, target.due = PeerStatus.REFUSED, None
        else:
            target.state, target.due = None, None

    def is_covered(self, target: Target) -> bool:
        """Whether a connection that there is already leads to it."""
        if target.instance in self._connected or target.found.instance in self._connected:
            return True
        if target.found.instance or not target.found.node_id:
            return False
        return any(node_id == target.found.node_id for node_id, _ in self._connected.values())

    def found_of(self, node_id: str, instance: str) -> Found | None:
        """What discovery says of a connected peer."""
        for target in self.targets.values():
            if instance in (target.instance, target.found.instance):
                return target.found
        return next((t.found for t in self.targets.values() if t.found.node_id == node_id), None)

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
        """A dial came to nothing, or to a connection that was not kept."""
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
        target = self.targets.get(key)
        if target is not None:
            target.own_addresses.add(address)
            self.failed(key, "this is ourselves", now)

    def connected(self, key: str, node_id: str, instance: str, now: float) -> None:
        """A connection is authenticated; `key` is empty where the other side dialled."""
        self._connected.setdefault(instance, (node_id, now))
        target = self.targets.get(key)
        if target is not None and target.found.node_id in ("", node_id):
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
            has_endured = now - since >= ENDURED_SECONDS
            target.tries = 0 if has_endured else target.tries + 1
            target.reason = reason
            seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(target.tries, 20))
            self._plan(target, now, seconds * (0.5 + 0.5 * self._random.random()))
