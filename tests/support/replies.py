"""What the workers of a healthy node answer about themselves."""

import time

from peatnode.ipc.messages import (
    DiscoveryReply,
    NodeReply,
    PeersReply,
    PeerState,
    SourceState,
    StoreReply,
    WorkerState,
)
from peatnode.model.states import PeerStatus, SourceStatus, WorkerStatus
from peatnode.supervision import workers

NOW = time.time()

WORKERS = tuple(
    WorkerState(name, WorkerStatus.READY, 200 + index, 0, 0, 22_000_000, 0.01, NOW - 60, "")
    for index, name in enumerate([spec.name for spec in workers.WORKERS])
)

NODE = NodeReply(
    node_id="peat-mesh-0",
    cluster="",
    instance="ab" * 16,
    device_id="cd" * 16,
    endpoint_id="ef" * 32,
    version="0.1.0",
    pid=199,
    started_at=NOW - 60,
    uptime_seconds=60.0,
    data_dir="/data",
    broker_address="127.0.0.1:8081",
    quic_port=11204,
    discovery=("mdns",),
    has_token=False,
    is_stopping=False,
    supervisor_memory_bytes=14_000_000,
    workers=WORKERS,
    problems=(),
)

STORE = StoreReply(
    documents=3,
    tombstones=0,
    sequence=5,
    oldest_sequence=1,
    root=bytes(range(16)),
    generation=1,
    disk_bytes=1_000_000,
    disk_free_bytes=10**11,
    is_writable=True,
    problem="",
    quarantined=(),
    engine_is_ready=True,
)

PEER = PeerState(
    id="peat-mesh-1",
    instance="12" * 16,
    endpoint_id="34" * 32,
    is_connected=True,
    state=PeerStatus.CONNECTED,
    rtt_ms=0.4,
    is_in_sync=True,
    behind_documents=0,
    out_of_sync_since=0.0,
    reason="",
    connected_since=NOW - 50,
    last_seen=NOW,
    addresses=("127.0.0.1:11205",),
    sources=("mdns",),
    metadata=(),
    neighbours=("peat-mesh-0",),
    bytes_sent=0,
    bytes_received=0,
    is_twin=False,
    version="0.1.0",
    is_clock_known=True,
    clock_offset=0.25,
)

PEERS = PeersReply((PEER,), bytes(range(16)), ())
DISCOVERY = DiscoveryReply((SourceState("mdns", SourceStatus.WATCHING, "", 1, 2.0),), ())
