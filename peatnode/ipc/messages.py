"""All messages between the processes of a node. No I/O.

This file shows what a node does. The links and what they carry:

    every worker  -- control --> supervisor   Hello, WorkerReady, Pong, ProblemRaised; gets Ping, StopWorker
    broker, CLI   -- supervisor.sock          GetNode
    broker, CLI   -- store.sock               documents, the feed, StoreReply
    sync          -- store.sock               the tree of fingerprints, differences, ApplyUpdates, the feed
    store         -- engine.sock              RunOperations
    broker, CLI   -- sync.sock                peers, WaitReplicas, awareness
    sync, CLI     -- discovery.sock           FollowDiscovery, GetDiscovery

Commands are imperative, events past tense, answers end in ``Reply``. The answer to a class that derives from
``Ask[X]`` is one ``X`` or ``Failed``; the answer to ``Follow[X]`` is a stream of ``X`` until the link closes or
``Failed`` ends it. Fields are numbers, text, bytes, enums, tuples and records of those; the codec takes nothing else.
Records (no tag) only occur inside messages. ``tests/contract/messages.golden`` holds the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from peatnode.model.documents import BucketEntry as BucketEntry
from peatnode.model.documents import DocumentUpdate as DocumentUpdate
from peatnode.model.documents import Outcome as Outcome
from peatnode.model.documents import Wanted as Wanted
from peatnode.model.feed import Change as Change
from peatnode.model.feed import ChangesSeen as ChangesSeen
from peatnode.model.feed import FeedGap as FeedGap
from peatnode.model.message import Ask as Ask
from peatnode.model.message import Follow as Follow
from peatnode.model.message import Message as Message
from peatnode.model.peers import Address as Address
from peatnode.model.peers import DiscoveredPeer as DiscoveredPeer
from peatnode.model.states import ChangeAction as ChangeAction
from peatnode.model.states import PeerStatus as PeerStatus
from peatnode.model.states import SourceStatus as SourceStatus
from peatnode.model.states import WorkerStatus as WorkerStatus
from peatnode.model.sync import AppliedReply as AppliedReply
from peatnode.model.sync import ApplyUpdates as ApplyUpdates
from peatnode.model.sync import BucketsReply as BucketsReply
from peatnode.model.sync import ReadBuckets as ReadBuckets
from peatnode.model.sync import ReadDifferences as ReadDifferences
from peatnode.model.sync import ReadRange as ReadRange
from peatnode.model.sync import ReadTree as ReadTree
from peatnode.model.sync import ReadVectors as ReadVectors
from peatnode.model.sync import TreeReply as TreeReply
from peatnode.model.sync import UpdatesReply as UpdatesReply
from peatnode.model.sync import VectorsReply as VectorsReply

CONTRACT = 1
"""Version of everything in this file. Both ends of a link must be of one version."""


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """The first message on every link, from both ends."""

    TAG = "hello"
    worker: str
    pid: int
    contract: int


class Failure(StrEnum):
    """Why a request failed."""

    INVALID = "invalid"
    """The request is invalid: a name, a body, a number. `where` says which part."""
    NOT_FOUND = "not_found"
    PRECONDITION = "precondition"
    """If-Match or If-None-Match did not hold."""
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    """Not now: the worker starts, stops or has exited. Nothing was changed."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The answer was lost: the change may or may not have been made."""
    STORAGE = "storage"
    """The disk is full, damaged or read-only. Nothing was changed."""
    QUARANTINED = "quarantined"
    """The document, or this change to it, is in quarantine because it crashed the engine."""
    BUSY = "busy"
    """A queue is full. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """Sent instead of an answer."""

    TAG = "failed"
    code: Failure
    message: str
    """One sentence for the user."""
    where: str = ""
    """The invalid field, name or JSON Pointer."""


# --- control: supervisor and worker, over a socket pair ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ping(Message):
    TAG = "ping"
    number: int


@dataclass(frozen=True, slots=True)
class Pong(Message):
    TAG = "pong"
    number: int
    memory_bytes: int
    """Proportional set size; 0 if the kernel does not report it."""
    stall_seconds: float
    """By how much the event loop of the worker was late."""


@dataclass(frozen=True, slots=True)
class WorkerReady(Message):
    """The worker serves its socket."""

    TAG = "worker_ready"


@dataclass(frozen=True, slots=True)
class StopWorker(Message):
    TAG = "stop_worker"
    seconds: float
    """The time that is left; then the worker is killed."""


@dataclass(frozen=True, slots=True)
class ProblemRaised(Message):
    """A problem, in words for an operator; one of the same name replaces it."""

    TAG = "problem_raised"
    name: str
    message: str
    advice: str
    blocks_readiness: bool


@dataclass(frozen=True, slots=True)
class ProblemCleared(Message):
    TAG = "problem_cleared"
    name: str


@dataclass(frozen=True, slots=True)
class RecycleMe(Message):
    """The worker asks to be replaced (memory). It exits with status 0 between two requests, which is no failure."""

    TAG = "recycle_me"
    reason: str


# --- supervisor.sock ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerProblem:
    worker: str
    name: str
    message: str
    advice: str
    blocks_readiness: bool
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    name: str
    state: WorkerStatus
    pid: int
    restarts: int
    recycles: int
    memory_bytes: int
    stall_seconds: float
    started_at: float
    last_exit: str
    """How its predecessor ended, such as `killed by SIGKILL`; empty for the first."""


@dataclass(frozen=True, slots=True)
class NodeReply(Message):
    TAG = "node_reply"
    node_id: str
    cluster: str
    instance: str
    """32 hex digits, new at each start."""
    device_id: str
    endpoint_id: str
    version: str
    pid: int
    started_at: float
    uptime_seconds: float
    data_dir: str
    broker_address: str
    """host:port"""
    quic_port: int
    discovery: tuple[str, ...]
    has_token: bool
    is_stopping: bool
    supervisor_memory_bytes: int
    workers: tuple[WorkerState, ...]
    problems: tuple[WorkerProblem, ...]


@dataclass(frozen=True, slots=True)
class GetNode(Ask[NodeReply]):
    TAG = "get_node"


# --- discovery.sock -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerFound(Message):
    """Also sent when a known peer has changed."""

    TAG = "peer_found"
    peer: DiscoveredPeer


@dataclass(frozen=True, slots=True)
class PeerLost(Message):
    """No source reports it any more."""

    TAG = "peer_lost"
    key: str


@dataclass(frozen=True, slots=True)
class FollowDiscovery(Follow[PeerFound | PeerLost]):
    """First an event for every known peer, then every change."""

    TAG = "follow_discovery"


@dataclass(frozen=True, slots=True)
class SourceState:
    name: str
    state: SourceStatus
    message: str
    peers: int
    age_seconds: float
    """Since the list of the source was last known to be complete; negative: never."""


@dataclass(frozen=True, slots=True)
class DiscoveryReply(Message):
    TAG = "discovery_reply"
    sources: tuple[SourceState, ...]
    peers: tuple[DiscoveredPeer, ...]


@dataclass(frozen=True, slots=True)
class GetDiscovery(Ask[DiscoveryReply]):
    TAG = "get_discovery"


# --- store.sock: documents ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocumentReply(Message):
    TAG = "document_reply"
    collection: str
    id: str
    incarnation: int
    fingerprint: bytes
    sequence: int
    value: bytes
    """JSON object, UTF-8."""
    expires_at: float
    """Unix seconds; 0: never."""


@dataclass(frozen=True, slots=True)
class GetDocument(Ask[DocumentReply]):
    """Failed(NOT_FOUND) if it does not exist or was deleted."""

    TAG = "get_document"
    collection: str
    id: str


class WriteKind(StrEnum):
    PUT = "put"
    PATCH = "patch"
    """JSON Merge Patch (RFC 7396)."""
    JSON_PATCH = "json_patch"
    """JSON Patch (RFC 6902)."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class WrittenReply(Message):
    """Sent after the change is on disk."""

    TAG = "written_reply"
    collection: str
    id: str
    was_created: bool
    was_changed: bool
    incarnation: int
    fingerprint: bytes
    sequence: int
    value: bytes
    expires_at: float


@dataclass(frozen=True, slots=True)
class WriteDocument(Ask[WrittenReply]):
    TAG = "write_document"
    collection: str
    id: str
    kind: WriteKind
    body: bytes
    """JSON; empty for a deletion."""
    if_match: tuple[bytes, ...] = ()
    """One of these fingerprints must be the document's; b"*": it must exist. Empty: no condition."""
    if_none_match: tuple[bytes, ...] = ()
    """None of these fingerprints may be the document's; b"*": it must not exist."""
    expires_at: float = -1.0
    """Unix seconds; 0: never; negative: unchanged."""


@dataclass(frozen=True, slots=True)
class ListedDocument:
    id: str
    incarnation: int
    fingerprint: bytes
    sequence: int
    value: bytes


@dataclass(frozen=True, slots=True)
class DocumentsReply(Message):
    TAG = "documents_reply"
    collection: str
    documents: tuple[ListedDocument, ...]
    """By id, in order of its UTF-8 bytes."""
    next_after: str
    """Pass it as `after` for the next page; empty: this is the last."""
    count: int
    """Documents in the collection."""
    sequence: int
    """Sequence of the newest change that this includes."""


@dataclass(frozen=True, slots=True)
class ListDocuments(Ask[DocumentsReply]):
    TAG = "list_documents"
    collection: str
    after: str
    limit: int
    max_bytes: int
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class CollectionEntry:
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class CollectionsReply(Message):
    TAG = "collections_reply"
    collections: tuple[CollectionEntry, ...]


@dataclass(frozen=True, slots=True)
class ListCollections(Ask[CollectionsReply]):
    TAG = "list_collections"


@dataclass(frozen=True, slots=True)
class Metric:
    """One sample for /metrics: a counter or gauge, or a histogram's bucket, by its full Prometheus name."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class MetricsReply(Message):
    TAG = "metrics_reply"
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class GetMetrics(Ask[MetricsReply]):
    """Every worker with a socket answers it, with its own samples."""

    TAG = "get_metrics"


@dataclass(frozen=True, slots=True)
class StoreReply(Message):
    TAG = "store_reply"
    documents: int
    tombstones: int
    sequence: int
    """Of the newest change."""
    oldest_sequence: int
    """The oldest change still in the feed."""
    root: bytes
    """Fingerprint of all documents; equal roots mean equal documents."""
    generation: int
    disk_bytes: int
    disk_free_bytes: int
    is_writable: bool
    problem: str
    """Why it is not writable."""
    quarantined: tuple[str, ...]
    """`collection/id` of the documents in quarantine."""
    engine_is_ready: bool


@dataclass(frozen=True, slots=True)
class GetStore(Ask[StoreReply]):
    TAG = "get_store"


# --- store.sock: the feed -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowChanges(Follow[ChangesSeen | FeedGap]):
    """Changes after `since`, in order: first those in the feed, then new ones when they are on disk.

    The store keeps one position for each follower. So a slow follower costs nothing, and loses only what the feed
    drops (FeedGap).
    """

    TAG = "follow_changes"
    since: int
    """A sequence; -1: from now on."""
    collection: str = ""
    """Empty: all."""
    id: str = ""
    prefix: str = ""
    """Of the id."""
    with_update: bool = False
    with_value: bool = False


# --- store.sock: what sync and Yjs clients need -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StateReply(Message):
    TAG = "state_reply"
    incarnation: int
    """The living one; for a document that does not exist, the one that a first write would begin."""
    exists: bool
    update: bytes
    """What the client lacks."""
    state_vector: bytes
    fingerprint: bytes
    sequence: int
    ended: bytes = b""
    """Yjs-encoded state vector of the ended incarnations: a client that holds a part of it holds deleted content.
    Empty: none is known."""


@dataclass(frozen=True, slots=True)
class ReadState(Ask[StateReply]):
    """For a Yjs client: the difference to its state vector, and the store's state vector, at one moment."""

    TAG = "read_state"
    collection: str
    id: str
    state_vector: bytes


# --- engine.sock ---------------------------------------------------------------------------------------------------


class EngineKind(StrEnum):
    """Every WriteKind but DELETE is one, by the same name."""

    APPLY = "apply"
    """`payload` is a checked update without a gap; the result is the value after it."""
    PUT = "put"
    """`payload` is the target value as JSON; the result is the smallest update that leads there."""
    PATCH = "patch"
    JSON_PATCH = "json_patch"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Operation:
    key: bytes
    """Of the document and its incarnation."""
    version: int
    """Number of the state that this starts from; afterwards the engine caches the document as `next_version`."""
    next_version: int
    kind: EngineKind
    payload: bytes
    state: tuple[bytes, ...]
    """Updates in causal order that make the state of `version`; empty: the engine should have it in its cache, or the
    document is new (version 0)."""
    client: int
    """Yjs client id for the new structs."""


class EngineOutcome(StrEnum):
    DONE = "done"
    NEEDS_STATE = "needs_state"
    """That version is not in the cache: send the operation again with the state."""
    INVALID = "invalid"
    """The value or patch is invalid; `message` and `where` say why. Nothing was changed."""
    PANICKED = "panicked"
    """The engine failed; the cached document was discarded."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    outcome: EngineOutcome
    update: bytes
    """The update of PUT and PATCH (its delete set may hold more than is new); empty: nothing to change."""
    value: bytes
    """JSON."""
    message: str
    where: str


@dataclass(frozen=True, slots=True)
class OperationsReply(Message):
    TAG = "operations_reply"
    results: tuple[OperationResult, ...]


@dataclass(frozen=True, slots=True)
class RunOperations(Ask[OperationsReply]):
    """Operations run in order and independently. Those of one document in a batch may build on each other."""

    TAG = "run_operations"
    operations: tuple[Operation, ...]


# --- sync.sock ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerState:
    id: str
    """Node id, or the key of discovery while that is unknown."""
    instance: str
    endpoint_id: str
    is_connected: bool
    state: PeerStatus
    rtt_ms: float
    """Negative: not measured."""
    is_in_sync: bool
    """Its root was equal to ours when last compared, and all later pushes are acknowledged."""
    behind_documents: int
    """Documents that differ or wait for an acknowledgement; -1: not known yet."""
    out_of_sync_since: float
    """Unix seconds; 0: in sync or never connected."""
    reason: str
    """Why it is not connected or not in sync, for people."""
    connected_since: float
    last_seen: float
    addresses: tuple[str, ...]
    sources: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]
    neighbours: tuple[str, ...]
    """Ids of the nodes that it is connected to, as it reports."""
    bytes_sent: int
    bytes_received: int
    is_twin: bool
    """Its node id is ours, or also that of another connected instance."""
    version: str


@dataclass(frozen=True, slots=True)
class PeersReply(Message):
    TAG = "peers_reply"
    peers: tuple[PeerState, ...]
    root: bytes
    differing: tuple[str, ...]
    """At most 100 of the documents that differ, `collection/id`."""


@dataclass(frozen=True, slots=True)
class GetPeers(Ask[PeersReply]):
    TAG = "get_peers"


@dataclass(frozen=True, slots=True)
class PeerConnected(Message):
    TAG = "peer_connected"
    peer: str
    instance: str


@dataclass(frozen=True, slots=True)
class PeerDisconnected(Message):
    TAG = "peer_disconnected"
    peer: str
    instance: str
    reason: str


@dataclass(frozen=True, slots=True)
class TopologyChanged(Message):
    """The neighbours of this node or of a peer have changed."""

    TAG = "topology_changed"
    peer_count: int


@dataclass(frozen=True, slots=True)
class FollowTopology(Follow[PeerConnected | PeerDisconnected | TopologyChanged]):
    TAG = "follow_topology"


@dataclass(frozen=True, slots=True)
class ReplicasReply(Message):
    TAG = "replicas_reply"
    count: int
    """Number of peers that have it on disk."""
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitReplicas(Ask[ReplicasReply]):
    """The answer comes when `count` peers have everything up to `sequence` on disk, or after `seconds`."""

    TAG = "wait_replicas"
    sequence: int
    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PublishAwareness(Message):
    """A Yjs awareness update (y-protocols), for all peers. Never stored."""

    TAG = "publish_awareness"
    collection: str
    id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class AwarenessSeen(Message):
    TAG = "awareness_seen"
    collection: str
    id: str
    payload: bytes
    origin: str
    """Instance of the peer."""


@dataclass(frozen=True, slots=True)
class FollowAwareness(Follow[AwarenessSeen]):
    TAG = "follow_awareness"
