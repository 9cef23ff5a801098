"""Merges the sightings of all sources into one list of peers, by node id, without this node.

No I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from peatnode.ipc.messages import Address, DiscoveredPeer, PeerFound, PeerLost
from workers.discovery.sighting import Sighting, SightingsChanged

MAX_PEERS = 16_384
"""Limit of sightings; further ones are ignored. No mesh of full copies has as many nodes."""

MAX_ADDRESSES = 32
"""Limit of the published addresses of one peer."""


@dataclass(slots=True)
class _Member:
    """A sighting and its source."""

    source: str
    sighting: Sighting
    peer_key: str = ""
    """Key of the peer to which it last belonged. A peer keeps its key when its twin is lost."""


@dataclass(slots=True)
class _Group:
    """All sightings with one node id, by source and key, in order of arrival."""

    members: dict[tuple[str, str], _Member] = field(default_factory=dict)
    published: dict[str, DiscoveredPeer] = field(default_factory=dict)


class PeerTable:
    """Receives the changes of each source and returns the events for subscribers."""

    def __init__(
        self, instance: str, own_addresses: Iterable[Address], sources: Iterable[str]
    ) -> None:
        """`sources` are in the order of trust: the addresses from an earlier source come first."""
        self._trust = {name: rank for rank, name in enumerate(sources)}
        self._instance = instance
        self._own_addresses = frozenset(own_addresses)
        self._group_of: dict[tuple[str, str], str] = {}
        self._groups: dict[str, _Group] = {}

    @property
    def peers(self) -> tuple[DiscoveredPeer, ...]:
        return tuple(peer for group in self._groups.values() for peer in group.published.values())

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
        """Replaces the addresses of this node, after the network of this machine has changed."""
        own = frozenset(addresses)
        if own == self._own_addresses:
            return []
        self._own_addresses = own
        return [event for name in list(self._groups) for event in self._show(name)]

    def _put(self, source: str, sighting: Sighting, touched: dict[str, None]) -> None:
        source_key = (source, sighting.key)
        name = sighting.node_id or sighting.key
        if self._group_of.get(source_key, name) != name:
            self._remove(source_key, touched)
        if source_key not in self._group_of and len(self._group_of) >= MAX_PEERS:
            return
        self._group_of[source_key] = name
        members = self._groups.setdefault(name, _Group()).members
        if source_key in members:
            members[source_key].sighting = sighting
        else:
            members[source_key] = _Member(source, sighting)
        touched[name] = None

    def _remove(self, source_key: tuple[str, str], touched: dict[str, None]) -> None:
        name = self._group_of.pop(source_key, None)
        if name is not None:
            del self._groups[name].members[source_key]
            touched[name] = None

    def _show(self, name: str) -> Iterator[PeerFound | PeerLost]:
        group = self._groups[name]
        before = group.published
        group.published = dict(self._peers_of(name, group))
        for key in before:
            if key not in group.published:
                yield PeerLost(key)
        for key, peer in group.published.items():
            if before.get(key) != peer:
                yield PeerFound(peer)
        if not group.members:
            del self._groups[name]

    def _peers_of(self, name: str, group: _Group) -> Iterator[tuple[str, DiscoveredPeer]]:
        taken: set[str] = set()
        others = [member for member in group.members.values() if not self._is_own(member.sighting)]
        for members in _split_twins(others):
            key = _choose_key(name, members, taken)
            taken.add(key)
            for member in members:
                member.peer_key = key
            yield key, self._merge(key, members)

    def _is_own(self, sighting: Sighting) -> bool:
        """Whether the sighting is this node, or the previous instance at the same address and port."""
        return sighting.instance == self._instance or (
            bool(sighting.addresses) and self._own_addresses.issuperset(sighting.addresses)
        )

    def _rank(self, member: _Member) -> tuple[bool, int]:
        condition = member.sighting.condition
        is_terminating = condition is not None and condition.is_terminating
        return is_terminating, self._trust[member.source]

    def _merge(self, key: str, members: list[_Member]) -> DiscoveredPeer:
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


def _split_twins(members: list[_Member]) -> list[list[_Member]]:
    """Groups the sightings of one node id by peer: twins are two peers, a restarted node is one peer."""
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
    # Another instance at the same address and port is the same node, restarted.
    known = {address for member in peer for address in member.sighting.addresses}
    return not known.isdisjoint(sighting.addresses)


def _choose_key(name: str, members: list[_Member], taken: set[str]) -> str:
    """The previous key; else the name; else, for a twin, the name with the start of the instance."""
    instance = next((m.sighting.instance for m in members if m.sighting.instance), "")
    candidates = [member.peer_key for member in members if member.peer_key]
    candidates += [name, f"{name}~{instance[:8]}", f"{name}~{instance}"]
    return next(key for key in candidates if key not in taken)
