"""The answer to GetMetrics: samples of the peers, the clock and the queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from peatnode.ipc.messages import Metric, PeerState
from peatnode.model.clock import ClockState
from peatnode.model.peer_limits import MAX_PACKED_BYTES, MAX_UNPACKED_BYTES
from peatnode.model.states import PeerStatus
from peatnode.protocol.sync.pulls.turns import ENDS
from workers.sync.node_shell import NodeShell
from workers.sync.peer_report import expected_count, expected_ids, peer_states
from workers.sync.quic.connection import MAX_QUEUED_BYTES


def metrics(node: NodeShell) -> Iterator[Metric]:
    expected = expected_ids(node)
    states = peer_states(node, expected)
    counts = Counter(state.state for state in states)
    for name in PeerStatus:
        yield Metric("peatnode_sync_peers", (("state", name),), float(counts[name]))
    yield Metric("peatnode_sync_peers_expected", (), float(expected_count(node, expected)))
    remembered = len(node.machine.members.book)
    yield Metric("peatnode_sync_peers_remembered", (), float(remembered))
    now = node.now() + node.wall_offset
    by_name = {state.id: state for state in states}  # twins have several states
    for state in by_name.values():
        yield from _of_peer(state, now)
    clock = node.machine.clock
    yield Metric("peatnode_clock_right", (), float(clock.verdict.state is ClockState.RIGHT))
    if clock.ahead is not None:
        yield Metric("peatnode_clock_offset_seconds", (), clock.ahead)
    dropped = {"no room for a batch": node.machine.applying.dropped}
    rejected = node.rejected + Counter(node.machine.faults) + Counter(dropped)
    for reason, count in sorted(rejected.items()):
        yield Metric("peatnode_rejected_input_total", (("reason", reason),), float(count))
    for reason in ENDS:
        count = node.machine.turns.ended[reason]
        yield Metric("peatnode_sync_pulls_ended_total", (("reason", reason),), float(count))
    yield from _queues(node)


def _of_peer(state: PeerState, now: float) -> Iterator[Metric]:
    peer = (("peer", state.id),)
    since = state.out_of_sync_since
    if state.deletions_paused_since:
        yield Metric("peatnode_sync_peer_deletions_paused", peer, 1.0)
    if state.state is PeerStatus.BLOCKED:
        yield Metric("peatnode_sync_peer_blocked", peer, 1.0)
        return
    yield Metric("peatnode_sync_peer_connected", peer, float(state.is_connected))
    if state.is_connected or state.is_remembered:
        behind = max(0.0, now - since) if since else 0.0
        yield Metric("peatnode_sync_peer_in_sync", peer, float(state.is_in_sync))
        yield Metric("peatnode_sync_peer_behind_seconds", peer, behind)
    if state.documents >= 0:
        yield Metric("peatnode_sync_peer_documents", peer, float(state.documents))
    if state.absent_since:
        absent = max(0.0, now - state.absent_since)
        yield Metric("peatnode_sync_peer_absent_seconds", peer, absent)
    if not state.is_connected:
        return
    if state.is_clock_known:
        yield Metric("peatnode_sync_peer_clock_offset_seconds", peer, state.clock_offset)
    if state.rtt_ms >= 0:
        yield Metric("peatnode_sync_peer_rtt_seconds", peer, state.rtt_ms / 1000)
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
    applying = node.machine.applying
    for name, used, limit in (
        ("sync_packed_bytes", applying.packed, MAX_PACKED_BYTES),
        ("sync_unpacked_bytes", applying.unpacked, MAX_UNPACKED_BYTES),
    ):
        yield Metric("peatnode_queue_length", (("queue", name),), float(used))
        yield Metric("peatnode_queue_capacity", (("queue", name),), float(limit))
    yield Metric("peatnode_queue_length", store, float(node.store.pending))
    yield Metric("peatnode_queue_length", peer, float(longest))
    yield Metric("peatnode_queue_capacity", peer, float(MAX_QUEUED_BYTES))
