"""Reports for tests: a healthy node, and what can be wrong with it."""

from dataclasses import replace

from peatnode.cli.status.report import StatusReport
from peatnode.client.models import Node, NodeStore, Peer, Source, Worker
from peatnode.supervision.workers import WORKERS

NOW = 1_800_000_000.0

NODE = Node(
    node_id="peat-mesh-0",
    cluster="",
    instance="ab" * 16,
    device_id="89d009beaaa48319d5e5698c7e1c7807",
    endpoint_id="e35368e99c359fc617f80439713a9bd620d3dba3df0528f6f7b733ba9ece5381",
    version="0.1.0",
    pid=100,
    uptime_secs=3725.4,
    data_dir="/data",
    broker_address="127.0.0.1:8081",
    quic_port=11204,
    discovery=("mdns",),
    is_stopping=False,
    supervisor_memory_bytes=14_000_000,
)

PEER = Peer(
    id="peat-mesh-1",
    state="connected",
    is_connected=True,
    is_in_sync=True,
    behind_documents=0,
    out_of_sync_since=None,
    rtt_ms=0.42,
    reason="",
    is_twin=False,
    version="0.1.0",
    addresses=("127.0.0.1:11205",),
    sources=("mdns",),
    neighbours=("peat-mesh-0",),
    connected_since=NOW - 60,
    clock_offset=0.25,
)

STORE = NodeStore(
    documents=1234,
    tombstones=1,
    sequence=1300,
    root="0123456789abcdef0123456789abcdef",
    disk_bytes=3_500_000,
    disk_free_bytes=120 * 2**30,
    is_writable=True,
    problem="",
    quarantined=(),
)


def worker(name: str, state: str = "ready", restarts: int = 0) -> Worker:
    return Worker(name, state, 101, restarts, 0, 22_000_000, 3725.0, 0.01, "")


HEALTHY = StatusReport(
    taken_at=NOW,
    node=NODE,
    workers=tuple(worker(spec.name) for spec in WORKERS),
    peers=(PEER,),
    store=STORE,
    sources=(Source("mdns", "watching", "", 1, 3.0),),
)

LATE = replace(
    PEER,
    id="peat-mesh-2",
    is_in_sync=False,
    behind_documents=17,
    out_of_sync_since=NOW - 90,
)

LOST = replace(
    PEER,
    id="peat-mesh-3",
    state="waiting",
    is_connected=False,
    is_in_sync=False,
    behind_documents=None,
    out_of_sync_since=NOW - 400,
    rtt_ms=None,
    reason="no answer to the handshake within 10 s",
)
