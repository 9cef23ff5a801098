"""Everything that the processes of a node say to each other. No I/O.

Read this file to know what a node does. Who speaks to whom:

    every worker  -- control --> supervisor   Hello, WorkerReady, Pong, ProblemRaised; gets Ping, StopWorker
    broker, CLI   -- supervisor.sock          GetNode
    broker, CLI   -- store.sock               documents, the feed, StoreReply
    sync          -- store.sock               the tree of fingerprints, differences, ApplyUpdates, the feed
    store         -- engine.sock              RunOperations
    broker, CLI   -- sync.sock                peers, WaitReplicas, awareness
    sync, CLI     -- discovery.sock           FollowDiscovery, GetDiscovery

Commands are imperative, events past tense, answers end in ``Reply``. A class that derives from ``Ask[X]`` is
answered by one ``X`` or by ``Failed``; one that derives from ``Follow[X]`` by a stream of ``X`` until the link closes
or ``Failed`` ends it. Fields are numbers, text, bytes, tuples and records of those; nothing else fits the wire.
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
    """First on every link, from both ends."""

    TAG = "hello"
    worker: str
    pid: int
    contract: int


class Failure(StrEnum):
    """Why a question was not answered."""

    INVALID = "invalid"
    """The question is wrong: a name, a body, a number. `where` says which part."""
    NOT_FOUND = "not_found"
    PRECONDITION = "precondition"
    """If-Match or If-None-Match did not hold."""
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    """Not now: starting, stopping, the other process is gone. Nothing was changed."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The answer was lost: the change may or may not have been made."""
    STORAGE = "storage"
    """The disk is full, damaged or read-only. Nothing was changed."""
    QUARANTINED = "quarantined"
    """The document, or this change to it, was set aside because it broke the engine."""
    BUSY = "busy"
    """A queue is full. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """Instead of an answer."""

    TAG = "failed"
    code: Failure
    message: str
    """One sentence for the user."""
    where: str = ""
    """The field, JSON Pointer or name that is wrong."""


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
    """Proportional set size where the kernel tells it, else resident."""
    stall_seconds: float
    """Longest time the worker's loop did not turn since the last Pong."""


@dataclass(frozen=True, slots=True)
class WorkerReady(Message):
    """The worker serves its socket."""

    TAG = "worker_ready"


@dataclass(frozen=True, slots=True)
class StopWorker(Message):
    TAG = "stop_worker"
    seconds: float
    """What is left to finish; then it is killed."""


@dataclass(frozen=True, slots=True)
class ProblemRaised(Message):
    """Something is wrong, in words for an operator; the same name again replaces it."""

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
    """The worker wants to be replaced (memory); it exits with 0 between two requests and that is no death."""

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
    """How its predecessor ended, e.g. `killed by SIGKILL`; empty at first."""


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
    """Also said when something of a known peer has changed."""

    TAG = "peer_found"
    peer: DiscoveredPeer


@dataclass(frozen=True, slots=True)
class PeerLost(Message):
    """No source has it any more."""

    TAG = "peer_lost"
    key: str


@dataclass(frozen=True, slots=True)
class FollowDiscovery(Follow[PeerFound | PeerLost]):
    """First every peer known now, then what changes."""

    TAG = "follow_discovery"


@dataclass(frozen=True, slots=True)
class SourceState:
    name: str
    state: SourceStatus
    message: str
    peers: int
    age_seconds: float
    """Since the source was last known to be complete (relist, resolution)."""


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
    """Failed(NOT_FOUND) where there is none or it was deleted."""

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
    """Said after the change is on disk."""

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
    """Fingerprints of which one must be the document's; `*` (b"*"): it must exist. Empty: not asked."""
    if_none_match: tuple[bytes, ...] = ()
    """Fingerprints none of which may be the document's; b"*": it must not exist."""
    expires_at: float = -1.0
    """Unix seconds; 0: never; negative: as it is."""


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
    """Give it as `after` for what follows; empty: there is no more."""
    count: int
    """Documents in the collection."""
    sequence: int
    """The change up to which this is current."""


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
    """Answered by store, engine, sync and discovery, each for itself."""

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
    """Fingerprint of everything; equal roots, equal documents."""
    generation: int
    disk_bytes: int
    disk_free_bytes: int
    is_writable: bool
    problem: str
    """Why it is not writable."""
    quarantined: tuple[str, ...]
    """`collection/id` of what was set aside."""
    engine_is_ready: bool


@dataclass(frozen=True, slots=True)
class GetStore(Ask[StoreReply]):
    TAG = "get_store"


# --- store.sock: the feed -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowChanges(Follow[ChangesSeen | FeedGap]):
    """Changes after `since`, in order, first those that are kept, then as they are synced to disk. The store keeps only
    a position for each follower, so a slow one costs nothing and loses nothing but what the feed drops (FeedGap)."""

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
    """The one that lives; for a document that does not exist the one that a first write would make."""
    exists: bool
    update: bytes
    """What the asker lacks."""
    state_vector: bytes
    fingerprint: bytes
    sequence: int
    ended: bytes = b""
    """Yjs-encoded state vector of the incarnations that have ended: who holds any of it holds what was deleted. Empty:
    none is known."""


@dataclass(frozen=True, slots=True)
class ReadState(Ask[StateReply]):
    """For a Yjs client: the difference to its state vector, and ours, of one moment."""

    TAG = "read_state"
    collection: str
    id: str
    state_vector: bytes


# --- engine.sock: store asks ---------------------------------------------------------------------------------------


class EngineKind(StrEnum):
    APPLY = "apply"
    """`payload` is a checked update without a gap; answers the value after it."""
    PUT = "put"
    """`payload` is the target value as JSON; answers the smallest update that leads there."""
    PATCH = "patch"
    JSON_PATCH = "json_patch"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Operation:
    key: bytes
    """Of the document and its incarnation."""
    version: int
    """Number of the state that this starts from; the engine keeps the document alive under `next_version` after it."""
    next_version: int
    kind: EngineKind
    payload: bytes
    state: tuple[bytes, ...]
    """Updates in causal order that make the state of `version`; empty: the engine should have it alive (or it is new,
    version 0)."""
    client: int
    """Yjs client id for what is written."""


class EngineOutcome(StrEnum):
    DONE = "done"
    NEEDS_STATE = "needs_state"
    """Not alive in that version: send it again with its state."""
    INVALID = "invalid"
    """The value or patch cannot be; `message` and `where` say why. Nothing was changed."""
    PANICKED = "panicked"
    """The engine failed on it; the live document was discarded."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    outcome: EngineOutcome
    update: bytes
    """What PUT and PATCH made (delete set may hold more than is new); empty: nothing to change."""
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
    """Run in order, each for itself. Those of one document in one batch may build on each other."""

    TAG = "run_operations"
    operations: tuple[Operation, ...]


# --- sync.sock ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerState:
    id: str
    """Node id, or the key it was discovered by while that is not known."""
    instance: str
    endpoint_id: str
    is_connected: bool
    state: PeerStatus
    rtt_ms: float
    """Negative: not measured."""
    is_in_sync: bool
    """Its root fingerprint was equal to ours when last compared, and all pushed since is acknowledged."""
    behind_documents: int
    """How many documents are known to differ or wait for acknowledgement; -1: not known yet."""
    out_of_sync_since: float
    """Unix seconds; 0: in sync or never connected."""
    reason: str
    """Why it is not connected or not in sync, in words."""
    connected_since: float
    last_seen: float
    addresses: tuple[str, ...]
    sources: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]
    neighbours: tuple[str, ...]
    """Node ids it is connected to, as it told."""
    bytes_sent: int
    bytes_received: int
    is_twin: bool
    """It bears our own node id, or one that another connected instance bears too."""
    version: str


@dataclass(frozen=True, slots=True)
class PeersReply(Message):
    TAG = "peers_reply"
    peers: tuple[PeerState, ...]
    root: bytes
    differing: tuple[str, ...]
    """Some of the documents that differ, `collection/id`, at most 100."""


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
    """Somebody's neighbours changed, ours or a peer's."""

    TAG = "topology_changed"
    peer_count: int


@dataclass(frozen=True, slots=True)
class FollowTopology(Follow[PeerConnected | PeerDisconnected | TopologyChanged]):
    TAG = "follow_topology"


@dataclass(frozen=True, slots=True)
class ReplicasReply(Message):
    TAG = "replicas_reply"
    count: int
    """Peers known to have it on disk."""
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WaitReplicas(Ask[ReplicasReply]):
    """Answered when `count` peers have everything up to `sequence` on disk, or when the time is over."""

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
