"""What `status` knows of a node, from wherever it was learned."""

from __future__ import annotations

from dataclasses import dataclass, field

from peatnode.client.models import NodeProblem, Source, Worker


@dataclass(frozen=True, slots=True)
class NodeFacts:
    node_id: str
    cluster: str
    instance: str
    device_id: str
    endpoint_id: str
    version: str
    pid: int
    uptime_secs: float
    data_dir: str
    api: str
    """host:port"""
    quic_port: int
    discovery: tuple[str, ...]
    is_stopping: bool
    supervisor_memory_bytes: int


@dataclass(frozen=True, slots=True)
class PeerFacts:
    id: str
    state: str
    is_connected: bool
    is_in_sync: bool
    behind_documents: int | None
    """None: not known."""
    out_of_sync_since: float | None
    """Unix seconds."""
    rtt_ms: float | None
    reason: str
    is_twin: bool
    version: str
    addresses: tuple[str, ...]
    sources: tuple[str, ...]
    neighbours: tuple[str, ...]
    connected_since: float | None
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    documents: int
    tombstones: int
    sequence: int
    root: str
    """Hex."""
    disk_bytes: int
    disk_free_bytes: int
    is_writable: bool
    problem: str
    quarantined: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Silent:
    """A part of the node that did not answer."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What could not be learned is None, and says why in `silent`."""

    taken_at: float
    """Unix seconds."""
    node: NodeFacts | None = None
    workers: tuple[Worker, ...] | None = None
    peers: tuple[PeerFacts, ...] | None = None
    differing: tuple[str, ...] = ()
    """Some documents that differ from a peer's, `collection/id`."""
    store: StoreFacts | None = None
    sources: tuple[Source, ...] | None = None
    problems: tuple[NodeProblem, ...] = ()
    """As the node's workers raised them."""
    silent: tuple[Silent, ...] = field(default=())
