"""Merges the sightings of all sources into one list of peers, by node id. This node is left out.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from peatnode.ipc.messages import Address, DiscoveredPeer, PeerFound, PeerLost
from workers.discovery.sighting import Sighting, SightingsChanged

MAX_PEERS = 16_384
"""Further sightings are ignored: every node keeps a full copy, and no such mesh has that many."""

MAX_ADDRESSES = 32
"""Addresses of one peer that are published."""


@dataclass(slots=True)
class _Member:
    """A sighting and its source."""

    source: str
    sighting: Sighting
    peer_key: str = ""
    """Key of the peer that it last belonged to; a peer keeps its key when another of the same name is lost."""


@dataclass(slots=True)
class _Group:
    """All sightings with one node id, by source and key, in order of arrival."""

    members: dict[tuple[str, str], _Member] = field(default_factory=dict)
    shown: dict[str, DiscoveredPeer] = field(default_factory=dict)


class PeerTable:
    """Receives the changes of each source and returns the events for subscribers."""

    def __init__(
        self, instance: str, own_addresses: Iterable[Address], sources: Iterable[str]
    ) -> None:
        """`sources` are in order of trust: the addresses of an earlier one come first."""
        self._trust = {name: rank for rank, name in enumerate(sources)}
        self._instance = instance
        self._own_addresses = frozenset(own_addresses)
        self._group_of: dict[tuple[str, str], str] = {}
        self._groups: dict[str, _Group] = {}

    @property
    def peers(self) -> tuple[DiscoveredPeer, ...]:
        return tuple(peer for group in self._groups.values() for peer in group.shown.values())

    def count(self, source: str) -> int:
        """Number of peers that this source reports, without this node."""
        return sum(source in peer.sources for peer in self.peers)

    def update(self, source: str, changed: SightingsChanged) -> list[PeerFound | PeerLost]:
        touched: dict[str, None] = {}
        for key in changed.lost:
            self._remove((source, key), touched)
        for sighting in changed.found:
            self._put(source, sighting, touched)
        return [event for name in touched for event in self._show(name)]

    def replace_own_addresses(self, addresses: Iterable[Address]) -> list[PeerFound | PeerLost]:
        """Called when the network of this machine has changed."""
        own = frozenset(addresses)
        if own == self._own_addresses:
            return []
        self._own_addresses = own
        return [event for name in list(self._groups) for event in self._show(name)]

    def _put(self, source: str, sighting: Sighting, touched: dict[str, None]) -> None:
        place = (source, sighting.key)
        name = sighting.node_id or sighting.key
        if self._group_of.get(place, name) != name:
            self._remove(place, touched)
        if place not in self._group_of and len(self._group_of) >= MAX_PEERS:
            return
        self._group_of[place] = name
        members = self._groups.setdefault(name, _Group()).members
        if place in members:
            members[place].sighting = sighting
        else:
            members[place] = _Member(source, sighting)
        touched[name] = None

    def _remove(self, place: tuple[str, str], touched: dict[str, None]) -> None:
        name = self._group_of.pop(place, None)
        if name is not None:
            del self._groups[name].members[place]
            touched[name] = None

    def _show(self, name: str) -> Iterator[PeerFound | PeerLost]:
        group = self._groups[name]
        before = group.shown
        group.shown = dict(self._peers_of(name, group))
        for key in before:
            if key not in group.shown:
                yield PeerLost(key)
        for key, peer in group.shown.items():
            if before.get(key) != peer:
                yield PeerFound(peer)
        if not group.members:
            del self._groups[name]

    def _peers_of(self, name: str, group: _Group) -> Iterator[tuple[str, DiscoveredPeer]]:
        taken: set[str] = set()
        others = [member for member in group.members.values() if not self._is_own(member.sighting)]
        for members in _divide(others):
            key = _choose_key(name, members, taken)
            taken.add(key)
            for member in members:
                member.peer_key = key
            yield key, self._unite(key, members)

    def _is_own(self, sighting: Sighting) -> bool:
        """Whether it is this node, or its predecessor at the same address and port."""
        return sighting.instance == self._instance or (
            bool(sighting.addresses) and self._own_addresses.issuperset(sighting.addresses)
        )

    def _rank(self, member: _Member) -> tuple[bool, int]:
        condition = member.sighting.condition
        is_terminating = condition is not None and condition.is_terminating
        return is_terminating, self._trust[member.source]

    def _unite(self, key: str, members: list[_Member]) -> DiscoveredPeer:
        ordered = sorted(members, key=self._rank)
        sightings = [member.sighting for member in ordered]
        addresses = dict.fromkeys(
            address
            for sighting in sightings
            for address in sighting.addresses
            if address not in self._own_addresses
        )
        conditions = [sighting.condition for sighting in sightings if sighting.condition]
        instances = [member.sighting.instance for member in members if member.sighting.instance]
        metadata: dict[str, str] = {}
        for sighting in reversed(sightings):
            metadata.update(sighting.metadata)
        return DiscoveredPeer(
            key=key,
            node_id=sightings[0].node_id,
            instance=instances[-1] if instances else "",
            addresses=tuple(addresses)[:MAX_ADDRESSES],
            sources=tuple(dict.fromkeys(member.source for member in ordered)),
            is_ready=any(condition.is_ready for condition in conditions) or not conditions,
            is_terminating=bool(conditions)
            and all(condition.is_terminating for condition in conditions),
            metadata=tuple(sorted(metadata.items())),
        )


def _divide(members: list[_Member]) -> list[list[_Member]]:
    """Splits the sightings of one node id by node: twins are two peers, a restarted node is one."""
    peers: list[list[_Member]] = []
    for member in members:
        peer = next((peer for peer in peers if _belongs(member.sighting, peer)), None)
        if peer is None:
            peers.append([member])
        else:
            peer.append(member)
    return peers


def _belongs(sighting: Sighting, peer: list[_Member]) -> bool:
    instances = {member.sighting.instance for member in peer} - {""}
    if not sighting.instance or not instances or sighting.instance in instances:
        return True
    # Another instance at the same address and port is the same node after a restart.
    known = {address for member in peer for address in member.sighting.addresses}
    return not known.isdisjoint(sighting.addresses)


def _choose_key(name: str, members: list[_Member], taken: set[str]) -> str:
    """Its previous key, else its name, else (for a twin) its name with the start of its instance."""
    instance = next((m.sighting.instance for m in members if m.sighting.instance), "")
    candidates = [member.peer_key for member in members if member.peer_key]
    candidates += [name, f"{name}~{instance[:8]}", f"{name}~{instance}"]
    return next(key for key in candidates if key not in taken)
