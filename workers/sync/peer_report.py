"""The answers to GetPeers and GetMetrics: the state of each peer, and samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from peatnode.ipc.messages import Metric, PeersReply, PeerState
from peatnode.model.clock import ClockState
from peatnode.model.peers import DiscoveredPeer
from peatnode.model.states import PeerStatus
from peatnode.protocol.connect.target import Target
from peatnode.protocol.sync.peer_status import PeerSyncStatus
from peatnode.worker.wall_clock import WallTimes
from workers.sync.node_shell import NodeShell, PastTraffic
from workers.sync.quic.connection import MAX_QUEUED_BYTES, PeerConnection

_UNDISCOVERED = DiscoveredPeer("", "", "", (), (), False, False, ())


def peer_states(node: NodeShell) -> Iterator[PeerState]:
    """The state of each connected peer, then of each other one that was discovered or is expected."""
    shown: set[str] = set()
    seen_at = {peer: each.last_seen for peer, each in node.endpoint.connections.items()}
    for status in node.machine.sync_statuses(seen_at, node.now()):
        connection = node.endpoint.connections.get(status.peer)
        if connection is not None and not status.is_stale:  # what replaced it is shown
            shown.add(status.member.node_id)
            yield _connected(node, status, connection)
    for key, target in node.dial_plan.targets.items():
        if target.state is None or target.peer.instance == node.instance:
            continue
        if not node.dial_plan.is_covered(target):
            name = target.peer.node_id or (target.node_id not in shown and target.node_id) or key
            shown.add(name)
            past = node.past_traffic_of(target.instance or target.peer.instance)
            yield _unconnected(name, target, target.state, past, node.times)
    for node_id in expected_ids(node):
        if node_id not in shown:
            yield _never_seen(node_id)


def expected_ids(node: NodeShell) -> tuple[str, ...]:
    """The node ids that are expected by name, without this node and those that have just left for good."""
    departures = node.machine.members.book.departures
    now = node.now() + node.wall_offset
    others = node.expected.others(node.node_id)
    return tuple(node_id for node_id in others if not departures.is_excused(node_id, now))


def peers_reply(node: NodeShell) -> PeersReply:
    expected = expected_ids(node)
    states = tuple(
        replace(state, is_expected=state.id in expected)
        for state in sorted(peer_states(node), key=lambda state: state.id)
    )
    connected = {state.id for state in states if state.is_connected}
    machine = node.machine
    return PeersReply(
        states,
        machine.root,
        machine.differing(),
        machine.clock.summary,
        documents=machine.documents,
        expected=len(expected) if node.expected.node_ids else node.expected.number,
        missing=tuple(node_id for node_id in expected if node_id not in connected),
        is_clock_offset_known=machine.clock.ahead is not None,
        clock_offset=machine.clock.ahead or 0.0,
        now=node.now() + node.wall_offset,
    )


def _connected(node: NodeShell, status: PeerSyncStatus, connection: PeerConnection) -> PeerState:
    member = status.member
    discovered = (
        node.dial_plan.discovered_peer_of(member.node_id, member.instance.hex()) or _UNDISCOVERED
    )
    since = status.since
    past = node.past_traffic_of(member.instance.hex())
    return PeerState(
        id=member.node_id,
        instance=member.instance.hex(),
        endpoint_id=member.endpoint_key.hex(),
        is_connected=True,
        state=PeerStatus.CONNECTED,
        rtt_ms=connection.rtt * 1000 if connection.rtt >= 0 else -1.0,
        is_in_sync=status.is_in_sync,
        behind_documents=status.behind,
        out_of_sync_since=0.0 if since is None else since + node.wall_offset,
        reason=status.reason,
        connected_since=status.connected_at + node.wall_offset,
        last_seen=connection.last_seen + node.wall_offset,
        addresses=(node.endpoint.address_of(connection),),
        sources=discovered.sources,
        metadata=discovered.metadata,
        neighbours=status.neighbours,
        bytes_sent=past.bytes_sent + connection.bytes_sent,
        bytes_received=past.bytes_received + connection.bytes_received,
        is_twin=status.is_twin,
        version=member.software,
        is_clock_known=status.clock_offset is not None,
        clock_offset=status.clock_offset or 0.0,
        documents=status.documents,
        documents_per_second=status.documents_per_second,
        seconds_left=status.seconds_left,
    )


def _unconnected(
    name: str, target: Target, state: PeerStatus, past: PastTraffic, times: WallTimes
) -> PeerState:
    discovered = target.peer
    return PeerState(
        id=name,
        instance=discovered.instance,
        endpoint_id="",
        is_connected=False,
        state=state,
        rtt_ms=-1.0,
        is_in_sync=False,
        behind_documents=-1,
        out_of_sync_since=0.0,
        reason=target.reason,
        connected_since=0.0,
        last_seen=0.0 if past.last_seen is None else times.unix(past.last_seen),
        addresses=tuple([str(address) for address in discovered.addresses]),
        sources=discovered.sources,
        metadata=discovered.metadata,
        neighbours=(),
        bytes_sent=past.bytes_sent,
        bytes_received=past.bytes_received,
        is_twin=False,
        version="",
    )


def _never_seen(node_id: str) -> PeerState:
    """A peer that is expected by name, and of which nothing else is known."""
    return PeerState(
        id=node_id,
        instance="",
        endpoint_id="",
        is_connected=False,
        state=PeerStatus.ABSENT,
        rtt_ms=-1.0,
        is_in_sync=False,
        behind_documents=-1,
        out_of_sync_since=0.0,
        reason="",
        connected_since=0.0,
        last_seen=0.0,
        addresses=(),
        sources=(),
        metadata=(),
        neighbours=(),
        bytes_sent=0,
        bytes_received=0,
        is_twin=False,
        version="",
    )


def metrics(node: NodeShell) -> Iterator[Metric]:
    states = list(peer_states(node))
    counts = Counter(state.state for state in states)
    for name in PeerStatus:
        yield Metric("peatnode_sync_peers", (("state", name),), float(counts[name]))
    now = node.now() + node.wall_offset
    # One sample for each node id: twins, or a peer that is also known by another address, have several
    # states.
    by_name = {state.id: state for state in reversed(states)}
    for state in by_name.values():
        yield from _of_peer(state, now)
    clock = node.machine.clock
    yield Metric("peatnode_clock_right", (), float(clock.verdict.state is ClockState.RIGHT))
    if clock.ahead is not None:
        yield Metric("peatnode_clock_offset_seconds", (), clock.ahead)
    for reason, count in sorted((node.rejected + Counter(node.machine.faults)).items()):
        yield Metric("peatnode_rejected_input_total", (("reason", reason),), float(count))
    yield from _queues(node)


def _of_peer(state: PeerState, now: float) -> Iterator[Metric]:
    peer = (("peer", state.id),)
    yield Metric("peatnode_sync_peer_connected", peer, float(state.is_connected))
    if state.documents >= 0:
        yield Metric("peatnode_sync_peer_documents", peer, float(state.documents))
    if not state.is_connected:
        return
    since = state.out_of_sync_since
    if state.is_clock_known:
        yield Metric("peatnode_sync_peer_clock_offset_seconds", peer, state.clock_offset)
    if state.rtt_ms >= 0:
        yield Metric("peatnode_sync_peer_rtt_seconds", peer, state.rtt_ms / 1000)
    yield Metric("peatnode_sync_peer_in_sync", peer, float(state.is_in_sync))
    yield Metric("peatnode_sync_peer_behind_seconds", peer, max(0.0, now - since) if since else 0.0)
    if state.behind_documents >= 0:
        yield Metric("peatnode_sync_peer_behind_documents", peer, float(state.behind_documents))
    rate = state.documents_per_second
    yield Metric("peatnode_sync_peer_documents_per_second", peer, round(rate, 3))
    if state.seconds_left >= 0:
        yield Metric("peatnode_sync_peer_seconds_left", peer, round(state.seconds_left, 3))
    for direction, count in (("sent", state.bytes_sent), ("received", state.bytes_received)):
        labels = (*peer, ("direction", direction))
        yield Metric("peatnode_sync_peer_bytes_total", labels, float(count))


def _queues(node: NodeShell) -> Iterator[Metric]:
    connections = node.endpoint.connections.values()
    longest = max((connection.queued_bytes for connection in connections), default=0)
    store = (("queue", "sync_store_questions"),)
    peer = (("queue", "sync_peer_bytes"),)
    yield Metric("peatnode_queue_length", store, float(node.store.pending))
    yield Metric("peatnode_queue_length", peer, float(longest))
    yield Metric("peatnode_queue_capacity", peer, float(MAX_QUEUED_BYTES))
