"""The values that a node returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

Json = dict[str, Any]
"""A JSON object."""


def named(name: str, default: Any) -> Any:
    """A field that has another name in the node's answers."""
    return field(default=default, metadata={"name": name})


@dataclass(frozen=True, slots=True)
class Document:
    collection: str
    id: str
    value: Json
    etag: str = ""
    """The fingerprint of the document, for `if_match`. Empty in lists, which do not contain it."""
    expires_at: float | None = None
    """Unix seconds. None: never, or the response does not contain it."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """In an export: an earlier line contains this document, which was deleted while the export ran."""

    collection: str
    id: str


@dataclass(frozen=True, slots=True)
class Replicas:
    """The peers that had a write on disk at the time of the response."""

    wanted: int
    have: int
    """Number of peers that have the write on disk."""
    peers: tuple[str, ...]
    detail: str = ""
    """Why fewer peers have it than wanted."""

    @property
    def is_complete(self) -> bool:
        return self.have >= self.wanted


@dataclass(frozen=True, slots=True)
class Written:
    """A write that is on the node's disk."""

    collection: str
    id: str
    value: Json | None
    """The document after the write. None: the document was deleted."""
    etag: str
    was_created: bool
    was_changed: bool
    """False: the document had this value already."""
    sequence: int
    """The number of the change in the feed of the node."""
    expires_at: float | None = None
    replicas: Replicas | None = None
    """None: the write did not wait for peers."""


@dataclass(frozen=True, slots=True)
class Page:
    collection: str
    total: int
    """Documents in the whole collection."""
    sequence: int
    """The page contains all changes up to this one: follow the feed from here."""
    documents: tuple[Document, ...]
    next_cursor: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True)
class Collection:
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ImportedLine:
    """The result of one line of a bulk import."""

    line: int
    """Counted from 1 over the whole import."""
    id: str
    status: int
    """The HTTP status that a single write would have."""
    error: str = ""
    """One sentence. Empty: the line was written."""

    @property
    def is_written(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Worker:
    name: str
    state: str
    pid: int
    restarts: int
    recycles: int
    memory_bytes: int
    uptime_secs: float
    stall_secs: float
    last_exit: str


@dataclass(frozen=True, slots=True)
class NodeProblem:
    """A problem of the node, for its operator."""

    worker: str
    name: str
    message: str
    advice: str
    blocks_readiness: bool
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of discovery, in which the node finds peers."""

    name: str
    """As in PEAT_DISCOVERY."""
    state: str
    """A word of `SourceStatus`; a newer node may have others."""
    message: str
    """Why the source fails."""
    peers: int
    age_secs: float | None
    """Seconds since the source was last complete. None: it never was."""


@dataclass(frozen=True, slots=True)
class NodeStore:
    """What the node keeps, and whether it can write."""

    documents: int
    tombstones: int
    sequence: int
    """Of the newest change."""
    root: str
    """Fingerprint of all documents, in hex."""
    disk_bytes: int
    disk_free_bytes: int
    is_writable: bool = True
    problem: str = ""
    """Why it is not writable."""
    quarantined: tuple[str, ...] = ()
    """Documents that are set aside, `collection/id`."""


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    uptime_secs: float
    version: str
    device_id: str
    endpoint_id: str = ""
    cluster: str = ""
    instance: str = ""
    pid: int = 0
    data_dir: str = ""
    broker_address: str = ""
    """host:port"""
    quic_port: int = 0
    discovery: tuple[str, ...] = ()
    is_stopping: bool = False
    supervisor_memory_bytes: int = 0
    workers: tuple[Worker, ...] = ()
    problems: tuple[NodeProblem, ...] = ()
    store: NodeStore | None = None
    """None: the store did not answer the node in time."""
    sources: tuple[Source, ...] | None = named("discovery_sources", None)
    """None: discovery did not answer in time, or the version of the node does not report sources."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole response, with the fields that this version does not know."""


@dataclass(frozen=True, slots=True)
class Peer:
    id: str
    state: str = ""
    is_connected: bool = named("connected", False)
    is_in_sync: bool = named("in_sync", False)
    behind_documents: int | None = None
    """Number of documents that are known to differ. None: not known."""
    out_of_sync_since: float | None = None
    """Unix seconds. None: in sync, or never connected."""
    rtt_ms: float | None = None
    reason: str = ""
    is_twin: bool = named("twin", False)
    version: str = ""
    addresses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """Where it was discovered."""
    neighbours: tuple[str, ...] = ()
    connected_since: float | None = None
    """Unix seconds."""
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peers(Sequence[Peer]):
    """The peers, and how their documents compare with those of the node."""

    peers: tuple[Peer, ...]
    root: str = ""
    """Fingerprint of all documents, in hex: equal roots mean equal documents."""
    differing: tuple[str, ...] = ()
    """Some of the documents that differ from those of a peer, as `collection/id`."""

    def __len__(self) -> int:
        return len(self.peers)

    @overload
    def __getitem__(self, index: int) -> Peer: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Peer, ...]: ...

    def __getitem__(self, index: int | slice) -> Peer | tuple[Peer, ...]:
        return self.peers[index]


@dataclass(frozen=True, slots=True)
class Topology:
    peer_count: int
    role: str
    hierarchy_level: int
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole response, with the graph as the node knows it."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    is_ready: bool
    message: str


@dataclass(frozen=True, slots=True)
class Readiness:
    is_ready: bool
    node_id: str
    checks: tuple[Check, ...]
