"""The peers without a connection, each name once: found by discovery, remembered, or expected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from peatnode.ipc.messages import PeerState
from peatnode.model.members import BlockedPeer, RememberedPeer
from peatnode.model.states import PeerStatus
from peatnode.protocol.connect.target import Target

BLOCKED_HERE = "an operator of this node has blocked it"


@dataclass(slots=True)
class Unconnected:
    """What is known of one name."""

    name: str
    """Node id; while that is unknown, the key of the discovered peer."""
    targets: list[Target] = field(default_factory=list)
    """Those of discovery first."""
    record: RememberedPeer | None = None
    is_expected: bool = False
    block: BlockedPeer | None = None

    @property
    def instance(self) -> str:
        instances = (target.instance or target.peer.instance for target in self.targets)
        return next(filter(None, instances), self.record.instance if self.record else "")


def list_unconnected(
    targets: Iterable[Target],
    absent: Iterable[RememberedPeer],
    expected: Iterable[str],
    connected: Set[str],
    blocks: Iterable[BlockedPeer] = (),
) -> Iterator[Unconnected]:
    """Each name that no connection has. `targets` are those that no connection covers. `blocks`: of this node.

    An old instance beside a connected one of the same name is not shown.
    """
    found: dict[str, Unconnected] = {}
    for record in absent:
        found[record.node_id] = Unconnected(record.node_id, record=record)
    members = _by_address(found.values())
    for target in sorted(targets, key=lambda target: not target.is_discovered):
        name = target.name
        if name == target.peer.key and name not in found:
            # Without a node id: a member that was at one of its addresses is most likely there still.
            addresses = map(str, target.peer.addresses)
            name = next((members[a] for a in addresses if a in members), name)
        found.setdefault(name, Unconnected(name)).targets.append(target)
    for name in expected:
        found.setdefault(name, Unconnected(name)).is_expected = True
    for block in blocks:
        found.setdefault(block.node_id, Unconnected(block.node_id)).block = block
    for name, peer in found.items():
        if name not in connected:
            yield peer


def _by_address(members: Iterable[Unconnected]) -> Mapping[str, str]:
    return {
        address: member.name
        for member in members
        if member.record is not None
        for address in member.record.addresses
    }


def unconnected_state(
    peer: Unconnected, wall_offset: float, last_seen: float, bytes_sent: int, bytes_received: int
) -> PeerState:
    """`wall_offset`: Unix time minus the time of the targets. `last_seen` and the bytes are those of ended
    connections to its last instance."""
    record, block = peer.record, peer.block
    discovered = [target.peer for target in peer.targets if target.is_discovered]
    addresses = [str(address) for each in discovered for address in each.addresses]
    failures = [t.failing_since for t in peer.targets if t.failing_since is not None]
    was_seen = record.last_seen if record else 0.0
    absent_since = 0.0 if block else was_seen
    return PeerState(
        id=peer.name,
        instance=peer.instance,
        endpoint_id="",
        is_connected=False,
        state=_state_of(peer),
        rtt_ms=-1.0,
        is_in_sync=False,
        behind_documents=-1,
        out_of_sync_since=(record.last_equal or was_seen) if record else 0.0,
        reason=_reason_of(peer),
        connected_since=0.0,
        last_seen=max(last_seen, was_seen),
        addresses=_joined(addresses, record.addresses if record else ()),
        sources=_joined([name for each in discovered for name in each.sources], ()),
        metadata=discovered[0].metadata if discovered else (),
        neighbours=(),
        bytes_sent=bytes_sent,
        bytes_received=bytes_received,
        is_twin=False,
        version=record.version if record else "",
        absent_since=absent_since,
        failing_since=min(failures) + wall_offset if failures and not block else 0.0,
        last_equal=record.last_equal if record else 0.0,
        root=record.root if record else b"",
        documents=record.documents if record else -1,
        is_remembered=record is not None,
        is_expected=peer.is_expected,
        blocked_since=block.at if block else 0.0,
    )


def _reason_of(peer: Unconnected) -> str:
    if peer.block is not None:
        reason = peer.block.reason
        return f"an operator of this node has blocked it: {reason}" if reason else BLOCKED_HERE
    return next((target.reason for target in peer.targets if target.reason), "")


def _state_of(peer: Unconnected) -> PeerStatus:
    """That of the first dialled target; a member that was connected once is absent, whatever its dials do."""
    if peer.block is not None:
        return PeerStatus.BLOCKED
    states = [target.state for target in peer.targets if target.state is not None]
    return states[0] if states and peer.record is None else PeerStatus.ABSENT


def _joined(first: list[str], then: tuple[str, ...]) -> tuple[str, ...]:
    """Both, each text once."""
    return tuple(dict.fromkeys((*first, *then))) if first else then
