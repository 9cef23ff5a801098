"""The answer to GetPeers: the state of each peer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from peatnode.ipc.messages import PeersReply, PeerState
from peatnode.model.peers import DiscoveredPeer
from peatnode.model.states import PeerStatus
from peatnode.protocol.sync.neighbours.shown import fair_shares
from peatnode.protocol.sync.peer_status import PeerSyncStatus
from workers.sync.node_shell import NodeShell
from workers.sync.quic.connection import PeerConnection
from workers.sync.unconnected import Unconnected, list_unconnected, unconnected_state

_UNDISCOVERED = DiscoveredPeer("", "", "", (), (), False, False, ())


def expected_ids(node: NodeShell) -> tuple[str, ...]:
    """The node ids that are expected by name: not this node, no blocked ones, none that have just left for good."""
    book = node.machine.members.book
    now = node.now() + node.wall_offset
    others = node.expected.others(node.node_id)
    return tuple(
        [
            node_id
            for node_id in others
            if node_id not in book.blocks and not book.departures.is_excused(node_id, now)
        ]
    )


def expected_count(node: NodeShell, names: Sequence[str]) -> int:
    """`names`: the `expected_ids`."""
    return len(names) if node.expected.node_ids else node.expected.number


def peers_reply(node: NodeShell) -> PeersReply:
    names = expected_ids(node)
    states = peer_states(node, names)
    connected = {state.id for state in states if state.is_connected}
    machine = node.machine
    return PeersReply(
        states,
        machine.root,
        machine.differing(),
        machine.clock.summary,
        documents=machine.documents,
        expected=expected_count(node, names),
        missing=tuple([name for name in names if name not in connected]),
        is_clock_offset_known=machine.clock.ahead is not None,
        clock_offset=machine.clock.ahead or 0.0,
        now=node.now() + node.wall_offset,
    )


def peer_states(node: NodeShell, expected: Sequence[str]) -> tuple[PeerState, ...]:
    """By node id: each connected peer, and each other one that was discovered, is remembered or is expected.

    A name has several states only if several instances of it are connected. `expected`: the `expected_ids`.
    """
    connected = list(_connected_states(node, frozenset(expected)))
    plan = node.dial_plan
    targets = [
        target
        for target in plan.targets.values()
        if target.state is not None or not target.is_discovered
        if target.peer.instance != node.instance and not plan.is_covered(target)
    ]
    book = node.machine.members.book
    unconnected = list_unconnected(
        targets, book.absent(), expected, {state.id for state in connected}, book.blocks
    )
    others = [_unconnected(node, peer) for peer in unconnected]
    return tuple(sorted([*connected, *others], key=lambda state: state.id))


def _connected_states(node: NodeShell, expected: frozenset[str]) -> Iterator[PeerState]:
    seen_at = {peer: each.last_seen for peer, each in node.endpoint.connections.items()}
    statuses = node.machine.sync_statuses(seen_at, node.now())
    neighbours = fair_shares([status.neighbours for status in statuses])
    for status, shown in zip(statuses, neighbours, strict=True):
        connection = node.endpoint.connections.get(status.peer)
        if connection is not None and not status.is_stale:  # what replaced it is shown
            is_expected = status.member.node_id in expected
            yield _connected(node, status, connection, is_expected, shown)


def _unconnected(node: NodeShell, peer: Unconnected) -> PeerState:
    past = node.past_traffic_of(peer.instance)
    last_seen = 0.0 if past.last_seen is None else node.times.unix(past.last_seen)
    state = unconnected_state(
        peer, node.wall_offset, last_seen, past.bytes_sent, past.bytes_received
    )
    paused = node.machine.members.book.paused.get(peer.name)
    if paused is None:
        return state
    return replace(state, deletions_paused_since=paused.at, deletions_refused=paused.refused)


def _connected(
    node: NodeShell,
    status: PeerSyncStatus,
    connection: PeerConnection,
    is_expected: bool,
    neighbours: tuple[str, ...],
) -> PeerState:
    """`neighbours`: those of its neighbours that are shown."""
    member = status.member
    record = node.machine.members.book.get(member.node_id)
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
        neighbours=neighbours,
        bytes_sent=past.bytes_sent + connection.bytes_sent,
        bytes_received=past.bytes_received + connection.bytes_received,
        is_twin=status.is_twin,
        version=member.software,
        is_clock_known=status.clock_offset is not None,
        clock_offset=status.clock_offset or 0.0,
        last_equal=record.last_equal if record else 0.0,
        root=record.root if record and record.instance == member.instance.hex() else b"",
        documents=status.documents,
        documents_per_second=status.documents_per_second,
        seconds_left=status.seconds_left,
        is_remembered=record is not None,
        is_expected=is_expected,
        deletions_paused_since=status.paused.at if status.paused else 0.0,
        deletions_refused=status.paused.refused if status.paused else 0,
    )
