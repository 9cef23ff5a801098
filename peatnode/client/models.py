"""What a node answers, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

Json = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True, slots=True)
class Document:
    collection: str
    id: str
    value: Json
    etag: str = ""
    """Its fingerprint, as `if_match` takes it; empty in lists, which do not tell it."""
    expires_at: float | None = None
    """Unix seconds; None: never, or not told."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """In an export: this document, told before, was deleted while the export ran."""

    collection: str
    id: str


@dataclass(frozen=True, slots=True)
class Replicas:
    """How far a write had come when the answer was given."""

    wanted: int
    have: int
    """Peers that have it on disk."""
    peers: tuple[str, ...]
    detail: str = ""
    """Why it is not all that were wanted."""

    @property
    def is_complete(self) -> bool:
        return self.have >= self.wanted


@dataclass(frozen=True, slots=True)
class Written:
    """A write that is on the node's disk."""

    collection: str
    id: str
    value: Json | None
    """After the write; None where the document was deleted."""
    etag: str
    was_created: bool
    was_changed: bool
    """False: it was like that already."""
    sequence: int
    """Its number in the node's feed."""
    expires_at: float | None = None
    replicas: Replicas | None = None
    """None when that was not asked."""


@dataclass(frozen=True, slots=True)
class Page:
    collection: str
    total: int
    """Documents in the whole collection."""
    sequence: int
    """The change up to which this is current: follow the feed from here."""
    documents: tuple[Document, ...]
    next_cursor: str
    """Empty on the last page."""


@dataclass(frozen=True, slots=True)
class Collection:
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class ImportedLine:
    """What became of one document of a bulk import."""

    line: int
    """Counted from 1, over the whole import."""
    id: str
    status: int
    """As the HTTP status of a single write."""
    error: str = ""
    """One sentence; empty when it was written."""

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
    """Something that is wrong on the node, for an operator."""

    worker: str
    name: str
    message: str
    advice: str
    blocks_readiness: bool
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the node looks for peers."""

    name: str
    """kubernetes, mdns, static"""
    state: str
    """starting, watching, failing, off"""
    message: str
    """Why it fails."""
    peers: int
    age_secs: float | None
    """Since it was last known to be complete; None: never yet."""


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    uptime_secs: float
    version: str
    device_id: str
    endpoint_id: str = ""
    cluster: str = ""
    instance: str = ""
    workers: tuple[Worker, ...] = ()
    problems: tuple[NodeProblem, ...] = ()
    sources: tuple[Source, ...] | None = None
    """None: discovery did not answer the node in time, or the node is too old to tell."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The whole answer, also what this version does not know."""


@dataclass(frozen=True, slots=True)
class Peer:
    id: str
    is_connected: bool
    state: str
    rtt_ms: float | None
    is_in_sync: bool
    behind_documents: int | None
    """How many documents are known to differ; None: not known."""
    out_of_sync_since: float | None
    """Unix seconds; None: in sync, or never connected."""
    reason: str = ""
    is_twin: bool = False
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Peers(Sequence[Peer]):
    """The peers, and how the node's documents compare with theirs."""

    peers: tuple[Peer, ...]
    root: str = ""
    """Fingerprint of all documents, in hex: equal roots are equal documents."""
    differing: tuple[str, ...] = ()
    """Some documents that differ from a peer's, `collection/id`."""

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
    """The whole answer, the graph as the node knows it included."""


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
