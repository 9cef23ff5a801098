"""The values in the responses of a node. Their fields are those of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

Json = dict[str, Any]
"""A JSON object."""


def named(name: str, default: Any) -> Any:
    """A field whose name in the API is `name`."""
    return field(default=default, metadata={"name": name})


@dataclass(frozen=True, slots=True)
class Document:
    """A document: a JSON object in a collection."""

    collection: str
    id: str
    value: Json
    etag: str = ""
    """The fingerprint of the document, for `if_match`. Empty in lists."""
    expires_at: float | None = None
    """Unix seconds. None: never; also in lists."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """In an export: a document of an earlier line was deleted during the export."""

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
    """Why fewer peers than wanted have it."""

    @property
    def is_complete(self) -> bool:
        return self.have >= self.wanted


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write, which is on the disk of the node."""

    collection: str
    id: str
    value: Json | None
    """The document after the write. None: the document was deleted."""
    etag: str
    was_created: bool
    was_changed: bool
    """False: the document already had this value."""
    sequence: int
    """The sequence of the change in the feed of the node."""
    expires_at: float | None = None
    """Unix seconds. None: never."""
    replicas: Replicas | None = None
    """None: the write did not wait for peers."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list."""

    collection: str
    total: int
    """Number of documents in the whole collection."""
    sequence: int
    """The page contains all changes up to this sequence: follow the feed from here."""
    documents: tuple[Document, ...]
    next_cursor: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection and its number of documents."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ImportedLine:
    """The result of one line of a bulk import."""

    line: int
    """From 1, counted over the whole import."""
    id: str
    status: int
    """The HTTP status that a single write would have."""
    error: str = ""
    """Why the line was refused. Empty: it was written."""

    @property
    def is_written(self) -> bool:
        return 200 <= self.status < 300

    @property
    def was_absent(self) -> bool:
        """Whether the line deletes a document that does not exist: nothing was to be done."""
        return self.status == 404


@dataclass(frozen=True, slots=True)
class Worker:
    """A process of the node."""

    name: str
    state: str
    """A word of `WorkerStatus`; a newer node may have others."""
    pid: int
    restarts: int
    """After it died."""
    recycles: int
    """Replacements that the worker requested."""
    memory_bytes: int
    uptime_secs: float
    stall_secs: float
    """Longest time that its event loop was blocked recently."""
    last_exit: str
    """How the previous process ended. Empty: there was none."""


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
    """A source of discovery, which finds peers."""

    name: str
    """The name in PEAT_DISCOVERY."""
    state: str
    """A word of `SourceStatus`; a newer node may have others."""
    message: str
    """Why the source fails."""
    peers: int
    age_secs: float | None
    """Seconds since the source was last complete. None: never."""
    failing_secs: float | None = None
    """Seconds since it fails without a break. None: it does not."""


@dataclass(frozen=True, slots=True)
class NodeStore:
    """The store of the node."""

    documents: int
    tombstones: int
    sequence: int
    """The newest change."""
    root: str
    """Fingerprint of all documents, in hex."""
    disk_bytes: int
    disk_free_bytes: int
    is_writable: bool = True
    problem: str = ""
    """Why it is not writable."""
    quarantined: tuple[str, ...] = ()
    """Documents in quarantine, as `collection/id`."""


@dataclass(frozen=True, slots=True)
class Node:
    """The node, with its workers, problems, store and sources."""

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
    """None: the store did not answer in time."""
    sources: tuple[Source, ...] | None = named("discovery_sources", None)
    """None: discovery did not answer in time, or the node is too old to report sources."""
    now: float = 0.0
    """Unix seconds by the clock of the node when it answered: ages of its times count from it. 0: not told."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole response, including fields that this version does not know."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node, as this node knows it."""

    id: str
    state: str = ""
    """A word of `PeerStatus`; a newer node may have others."""
    is_connected: bool = named("connected", False)
    is_in_sync: bool = named("in_sync", False)
    behind_documents: int | None = None
    """Number of documents that differ. None: not known."""
    out_of_sync_since: float | None = None
    """Unix seconds. None: in sync, or never connected."""
    rtt_ms: float | None = None
    reason: str = ""
    """Why it is not connected or not in sync."""
    is_twin: bool = named("twin", False)
    """Whether another running node has the same id."""
    version: str = ""
    addresses: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """The sources that discovered it."""
    neighbours: tuple[str, ...] = ()
    """The ids of the nodes that it is connected to."""
    connected_since: float | None = None
    """Unix seconds."""
    clock_offset: float | None = field(default=None, metadata={"is_signed": True})
    """Its wall clock minus that of the node, in seconds. None: not known."""
    absent_since: float | None = None
    """Unix seconds at which it was last connected. None: it is connected, or never was."""
    failing_since: float | None = None
    """Unix seconds of the first of the dials that have failed without a break. None: none has."""
    last_equal: float | None = None
    """Unix seconds at which its documents were last equal to those of the node. None: never."""
    root: str = ""
    """The last fingerprint of all its documents that it told, in hex. Empty: none."""
    documents: int | None = None
    """The number of documents that it told. None: not known."""
    is_remembered: bool = named("remembered", False)
    """Whether it was connected once and has not been forgotten."""
    is_expected: bool = named("expected", False)
    """Whether PEAT_EXPECTED_PEERS names it."""
    documents_per_second: float = 0.0
    """Documents that the node fetches from it, while it does."""
    seconds_left: float | None = None
    """Until the node has fetched them all. None: not known."""
    blocked_since: float | None = None
    """Unix seconds at which an operator of the node has blocked it. None: it is not blocked."""
    deletions_paused_since: float | None = None
    """Unix seconds since which the node refuses its deletions, because it made too many. None: it does not."""
    deletions_refused: int = 0
    """Documents that it would have deleted since then."""
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LostDocument:
    """A state of a document that contradicted another one and lost. The node keeps it until it is dismissed."""

    id: str
    time: float
    """Unix seconds."""
    collection: str
    doc_id: str
    lost: str
    """`local`: this node had it; `peer`: the other one."""
    peer: str
    """Instance of the other node."""
    clients: tuple[int, ...] = ()
    """Ids of the Yjs clients under whose clocks the two states differ."""
    size: int = 0
    """Bytes."""
    value: Mapping[str, Any] | None = None
    """Its JSON. None in a list, or if only an engine could read it."""
    update: bytes = field(default=b"", repr=False)
    """All of it, as a Yjs update v1. Empty in a list."""
    peer_id: str = ""
    """Node id of the other node. Empty: the node does not know it."""
    content: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What the store of a node has set aside until an operator decides."""

    id: str
    reason: str
    """`leap`: a change far ahead of its document; `engine-document`, `engine-change`: it broke the engine."""
    time: float | None
    """Unix seconds. None: not known."""
    collection: str
    doc_id: str
    here: int
    """The incarnation of the document in the node; 0: none."""
    incarnation: int
    deletes: bool
    """Whether the change deletes the document."""
    peer: str
    """Instance of the node that sent the change; empty: it comes from this node."""
    peer_id: str
    """Node id of that node. Empty: the node does not know it."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class DeletedDocument:
    """A deleted document of which the node keeps the content."""

    collection: str
    id: str
    incarnation: int
    """The one that has ended. A document may have ended more than once."""
    deleted_at: float
    """Unix seconds."""
    until: float
    """Unix seconds until which the content is kept, if the node runs until then and has room."""
    origin: str
    """Who ended it, as in an event of a change: instance of the peer, or empty for a write to the node."""
    origin_peer: str
    """Node id of the origin. Empty: it is not known, or there is none."""
    has_expired: bool
    """Whether its expiry had passed."""
    size: int
    """Bytes."""
    is_live: bool
    """Whether there is a document of this name now."""
    value: Mapping[str, Any] | None = None
    """What it held. None in a list, or if the node cannot read it."""


@dataclass(frozen=True, slots=True)
class DeletedPage:
    """Deleted documents of a collection, by id, and for one id the earliest end first."""

    documents: tuple[DeletedDocument, ...]
    next_cursor: str
    """Empty: this is the last page."""


@dataclass(frozen=True, slots=True)
class NodeClock:
    """Whether the wall clock of the node is right."""

    state: str
    """A word of `ClockState`; a newer node may have others."""
    message: str
    offset_seconds: float | None = field(default=None, metadata={"is_signed": True})
    """The clock of the node minus the median of its connected peers. None: not known."""


@dataclass(frozen=True, slots=True)
class Peers(Sequence[Peer]):
    """The peers of the node, and a comparison of documents."""

    peers: tuple[Peer, ...]
    root: str = ""
    """Fingerprint of all documents, in hex: equal roots mean equal documents."""
    differing: tuple[str, ...] = ()
    """Some of the documents that differ on a peer, as `collection/id`."""
    documents: int | None = None
    """The number of documents of the node. None: not known."""
    expected: int = 0
    """How many peers PEAT_EXPECTED_PEERS expects."""
    missing: tuple[str, ...] = ()
    """The node ids that PEAT_EXPECTED_PEERS names and that are not connected."""
    clock: NodeClock | None = None
    """None: the node is too old to judge its clock."""
    now: float = 0.0
    """Unix seconds by the clock of the node when it answered: ages of its times count from it. 0: not told."""

    def __len__(self) -> int:
        return len(self.peers)

    @overload
    def __getitem__(self, index: int) -> Peer: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Peer, ...]: ...

    def __getitem__(self, index: int | slice) -> Peer | tuple[Peer, ...]:
        return self.peers[index]


@dataclass(frozen=True, slots=True)
class PeerLogEntry:
    """Something that happened between the node and a peer."""

    time: float
    """Unix seconds."""
    peer: str
    """Its node id, or its address while the id is unknown."""
    kind: str
    """A word of `PeerEventKind`; a newer node may have others."""
    detail: str = ""
    """A reason or an address, for people."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The mesh as the node knows it."""

    peer_count: int
    role: str
    hierarchy_level: int
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole response, with the nodes and edges of the graph."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of readiness."""

    name: str
    is_ready: bool
    message: str


@dataclass(frozen=True, slots=True)
class NodeFinding:
    """What an operator should know of the node, with advice."""

    severity: str
    """`error`: the node is not ready, `degraded`: it works with restrictions, `notice`: information."""
    where: str
    """A worker, `supervisor`, `node`, `peers`, or `peer NAME`."""
    message: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the node can serve reads and writes, and what else is to be known of it."""

    is_ready: bool
    """All checks pass."""
    node_id: str
    checks: tuple[Check, ...]
    findings: tuple[NodeFinding, ...] | None = None
    """The worst first. None: the node is too old to make them, or the request had no valid token."""
