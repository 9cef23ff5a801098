"""All messages between the processes of a node. No I/O.

The links and their messages:

    every worker  -- control --> supervisor   Hello, WorkerReady, Pong, ProblemRaised; receives Ping, StopWorker
    broker, CLI   -- supervisor.sock          GetNode
    broker, CLI   -- store.sock               documents, the feed, StoreReply
    sync          -- store.sock               the tree, differences, ApplyUpdates, the feed, JudgeClock, KeepMembership
    store         -- engine.sock              RunOperations, RunAlone
    broker, CLI   -- sync.sock                peers and orders about them, WaitReplicas, awareness
    sync, CLI     -- discovery.sock           FollowDiscovery, GetDiscovery, GetDeparture

The names of commands are imperative, those of events are in the past tense, and those of answers end in
``Reply``. A request that derives from ``Ask[X]`` is answered by one ``X`` or ``Failed``. A request that
derives from ``Follow[X]`` is answered by a stream of ``X``, until the link closes or ``Failed`` ends the
stream. Fields are numbers, text, bytes, enums, tuples and records of these; the codec accepts nothing else.
Records have no tag and occur only inside messages. ``tests/contract/messages.golden`` contains the schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from peatnode.model.clock import UNCOMPARED, ClockVerdict
from peatnode.model.clock import ClockState as ClockState
from peatnode.model.documents import BucketEntry as BucketEntry
from peatnode.model.documents import DocumentUpdate as DocumentUpdate
from peatnode.model.documents import Outcome as Outcome
from peatnode.model.documents import Wanted as Wanted
from peatnode.model.feed import Change as Change
from peatnode.model.feed import ChangesSeen as ChangesSeen
from peatnode.model.feed import FeedGap as FeedGap
from peatnode.model.members import AllowDeletions as AllowDeletions
from peatnode.model.members import BlockedPeer as BlockedPeer
from peatnode.model.members import DeletionsAllowed as DeletionsAllowed
from peatnode.model.members import Departure as Departure
from peatnode.model.members import KeepMembership as KeepMembership
from peatnode.model.members import MembershipKept as MembershipKept
from peatnode.model.members import MembershipReply as MembershipReply
from peatnode.model.members import PausedDeletions as PausedDeletions
from peatnode.model.members import PeerEvent as PeerEvent
from peatnode.model.members import PeerEventKind as PeerEventKind
from peatnode.model.members import ReadMembership as ReadMembership
from peatnode.model.members import RememberedPeer as RememberedPeer
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
from peatnode.model.sync import ClockReply as ClockReply
from peatnode.model.sync import JudgeClock as JudgeClock
from peatnode.model.sync import ReadBuckets as ReadBuckets
from peatnode.model.sync import ReadDifferences as ReadDifferences
from peatnode.model.sync import ReadRange as ReadRange
from peatnode.model.sync import ReadTree as ReadTree
from peatnode.model.sync import ReadVectors as ReadVectors
from peatnode.model.sync import TreeReply as TreeReply
from peatnode.model.sync import UpdatesReply as UpdatesReply
from peatnode.model.sync import VectorsReply as VectorsReply

CONTRACT = 2
"""Version of all messages in this file. Both ends of a link must use the same version."""


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
    """A name, a body or a number of the request is invalid; `where` identifies it."""
    NOT_FOUND = "not_found"
    EXISTS = "exists"
    """The document that is to be brought back lives."""
    PRECONDITION = "precondition"
    """If-Match or If-None-Match did not hold."""
    TOO_LARGE = "too_large"
    UNAVAILABLE = "unavailable"
    """The worker is starting, stopping or has exited. Nothing was changed; the request may be repeated."""
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The answer was lost. The change may or may not have been made."""
    STORAGE = "storage"
    """The disk is full, damaged or read-only. Nothing was changed."""
    QUARANTINED = "quarantined"
    """The document, or this change to it, is in quarantine because it crashed the engine."""
    EXHAUSTED = "exhausted"
    """The name has no incarnation, or the writer no clock left in the document. Nothing was changed."""
    TOO_COSTLY = "too_costly"
    """The change takes more CPU time or memory than a change may. Nothing was changed."""
    BUSY = "busy"
    """A queue is full. Nothing was changed."""
    OUT_OF_MEMORY = "out_of_memory"
    """The worker had not enough memory for this request. Nothing was changed."""
    CLOCK = "clock"
    """The clock of this node may be wrong, so that no expiry is set. Nothing was changed."""


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
    """The answer to Ping, with measurements of the worker."""

    TAG = "pong"
    number: int
    memory_bytes: int
    """Proportional set size; 0 if the kernel does not report it."""
    stall_seconds: float
    """Delay of the worker's event loop, in seconds."""
    turned: int
    """The newest ping that the event loop has seen. A thread may answer while the loop works."""


@dataclass(frozen=True, slots=True)
class WorkerReady(Message):
    """The worker serves its socket."""

    TAG = "worker_ready"


@dataclass(frozen=True, slots=True)
class StopWorker(Message):
    """Orders the worker to finish its requests and to exit."""

    TAG = "stop_worker"
    seconds: float
    """The worker is killed if it has not exited after this time."""


@dataclass(frozen=True, slots=True)
class ProblemRaised(Message):
    """A problem, described for an operator. It replaces an earlier problem of the same name."""

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
    """The worker asks to be replaced because of its memory.
    Its exit with status 0 is not counted as a failure."""

    TAG = "recycle_me"
    reason: str


# --- supervisor.sock ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerProblem:
    """A problem that a worker has raised and not cleared."""

    worker: str
    name: str
    message: str
    advice: str
    blocks_readiness: bool
    since: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The state of one worker."""

    name: str
    state: WorkerStatus
    pid: int
    restarts: int
    recycles: int
    memory_bytes: int
    stall_seconds: float
    started_at: float
    last_exit: str
    """How the previous process ended, such as `killed by SIGKILL`; empty for the first process."""


@dataclass(frozen=True, slots=True)
class NodeReply(Message):
    """The configuration and the state of the node, its workers and its problems."""

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
    """A peer was found, or a known peer has changed."""

    TAG = "peer_found"
    peer: DiscoveredPeer


@dataclass(frozen=True, slots=True)
class PeerLost(Message):
    """No source reports the peer any more."""

    TAG = "peer_lost"
    key: str


@dataclass(frozen=True, slots=True)
class FollowDiscovery(Follow[PeerFound | PeerLost]):
    """Asks for one event for each known peer, then for every change."""

    TAG = "follow_discovery"


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state of one source of peers."""

    name: str
    state: SourceStatus
    message: str
    peers: int
    age_seconds: float
    """Seconds since the source's list was last known to be complete; negative: never."""
    failing_seconds: float = -1.0
    """Seconds since the first of the failures without a break; negative: it does not fail."""


@dataclass(frozen=True, slots=True)
class DiscoveryReply(Message):
    TAG = "discovery_reply"
    sources: tuple[SourceState, ...]
    peers: tuple[DiscoveredPeer, ...]


@dataclass(frozen=True, slots=True)
class GetDiscovery(Ask[DiscoveryReply]):
    TAG = "get_discovery"


@dataclass(frozen=True, slots=True)
class DepartureReply(Message):
    """Whether this node is removed from the mesh for good, as an orchestrator says."""

    TAG = "departure_reply"
    is_for_good: bool
    reason: str


@dataclass(frozen=True, slots=True)
class GetDeparture(Ask[DepartureReply]):
    """Asked when the node stops."""

    TAG = "get_departure"


# --- store.sock: documents ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocumentReply(Message):
    """One document and its value."""

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
    """Asks for one document. The answer is Failed(NOT_FOUND) if it does not exist or was deleted."""

    TAG = "get_document"
    collection: str
    id: str
    is_fresh: bool = False
    """Whether the value of a large document must contain all changes up to now. Otherwise it may be a second old."""


class WriteKind(StrEnum):
    """The kinds of writes."""

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
    generation: int = 0
    """Generation of the store that assigned the sequence; 0: unknown."""


@dataclass(frozen=True, slots=True)
class WriteDocument(Ask[WrittenReply]):
    """Asks for one write to one document."""

    TAG = "write_document"
    collection: str
    id: str
    kind: WriteKind
    body: bytes
    """JSON; empty for a deletion."""
    if_match: tuple[bytes, ...] = ()
    """The document must have one of these fingerprints; b"*": it must exist. Empty: no condition."""
    if_none_match: tuple[bytes, ...] = ()
    """The document must have none of these fingerprints; b"*": it must not exist. Empty: no condition."""
    expires_at: float = -1.0
    """Unix seconds; 0: never; negative: unchanged."""


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """One document of a page."""

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
    """Sorted by the UTF-8 bytes of the id."""
    next_after: str
    """The `after` of the next page; empty: this is the last page."""
    count: int
    """Number of documents in the collection."""
    sequence: int
    """Sequence of the newest change that the page includes."""


@dataclass(frozen=True, slots=True)
class ListDocuments(Ask[DocumentsReply]):
    """Asks for a page of a collection: at most `limit` documents and `max_bytes` of values."""

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
    """Those that have documents, by name."""
    next_after: str = ""
    """Where the next page begins; empty: this is the last one."""
    total: int = 0
    """The number of all collections that have documents."""


@dataclass(frozen=True, slots=True)
class ListCollections(Ask[CollectionsReply]):
    """Asks for a page of at most `limit` collections."""

    TAG = "list_collections"
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Metric:
    """One sample for /metrics, with its full Prometheus name:
    a counter, a gauge, or a bucket of a histogram."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class MetricsReply(Message):
    TAG = "metrics_reply"
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class GetMetrics(Ask[MetricsReply]):
    """Asks a worker for its own samples. Every worker with a socket answers it."""

    TAG = "get_metrics"


@dataclass(frozen=True, slots=True)
class StoreReply(Message):
    """The state of the store."""

    TAG = "store_reply"
    documents: int
    tombstones: int
    sequence: int
    """Of the newest change."""
    oldest_sequence: int
    """Sequence of the oldest change that the feed still keeps."""
    root: bytes
    """Root of the hash tree; equal roots mean equal documents."""
    generation: int
    disk_bytes: int
    disk_free_bytes: int
    is_writable: bool
    problem: str
    """Why the store is not writable; empty if it is."""
    quarantined: tuple[str, ...]
    """`collection/id` of the documents in quarantine."""
    engine_is_ready: bool


@dataclass(frozen=True, slots=True)
class GetStore(Ask[StoreReply]):
    TAG = "get_store"


@dataclass(frozen=True, slots=True)
class ConflictEntry:
    """A state of a document that contradicted another one and lost."""

    id: bytes
    """16 bytes, the same on every node that keeps this state."""
    at: float
    """Unix seconds."""
    collection: str
    document: str
    incarnation: int
    clients: tuple[int, ...]
    """Ids of the Yjs clients under whose clocks the two states differ."""
    peer: str
    """Instance of the peer that sent the other state."""
    was_local: bool
    """Whether this node had the lost state, and not the peer."""
    size: int
    """Bytes of the state and its value."""


@dataclass(frozen=True, slots=True)
class ConflictsReply(Message):
    TAG = "conflicts_reply"
    conflicts: tuple[ConflictEntry, ...]
    """The newest first."""
    dropped: int
    """States that made room for newer ones since the start of the store."""


@dataclass(frozen=True, slots=True)
class ListConflicts(Ask[ConflictsReply]):
    """Asks for what is kept of documents of which two states contradicted each other."""

    TAG = "list_conflicts"


@dataclass(frozen=True, slots=True)
class ConflictReply(Message):
    TAG = "conflict_reply"
    conflict: ConflictEntry
    update: bytes
    """The lost state as a Yjs update v1."""
    value: bytes
    """Its JSON; empty: only an engine could read it."""


@dataclass(frozen=True, slots=True)
class ReadConflict(Ask[ConflictReply]):
    TAG = "read_conflict"
    id: bytes


@dataclass(frozen=True, slots=True)
class ConflictDismissed(Message):
    TAG = "conflict_dismissed"
    was_kept: bool
    """False: there was no such conflict."""


@dataclass(frozen=True, slots=True)
class DismissConflict(Ask[ConflictDismissed]):
    """Asks the store to forget a lost state."""

    TAG = "dismiss_conflict"
    id: bytes


class QuarantineReason(StrEnum):
    """Why something is in quarantine."""

    LEAP = "leap"
    """The incarnation of a change is far above that of the document here. The change is refused and kept."""
    ENGINE_DOCUMENT = "engine-document"
    """The engine failed on the document. It is kept and synced, and its value is not read."""
    ENGINE_CHANGE = "engine-change"
    """The engine failed on a change of this node. The change is refused."""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """What an operator may accept or drop."""

    id: bytes
    """16 bytes, the same on every node that has the same in quarantine."""
    reason: QuarantineReason
    at: float
    """Unix seconds; 0: not known."""
    collection: str
    document: str
    here: int
    """The incarnation of the document here when the entry was made; 0: there was none."""
    incarnation: int
    is_deletion: bool
    peer: str
    """Instance of the peer that sent it; empty: it comes from this node."""
    size: int
    """Bytes of the change; 0: not known."""


@dataclass(frozen=True, slots=True)
class QuarantineReply(Message):
    TAG = "quarantine_reply"
    entries: tuple[QuarantineEntry, ...]
    """Leaps, the newest first, and then what broke the engine."""
    lost: int
    """Leaps that made room for newer ones since the start of the store."""


@dataclass(frozen=True, slots=True)
class ListQuarantine(Ask[QuarantineReply]):
    TAG = "list_quarantine"


@dataclass(frozen=True, slots=True)
class QuarantineAccepted(Message):
    TAG = "quarantine_accepted"
    outcome: Outcome
    """APPLIED, or KNOWN or STALE if the document has gone on meanwhile."""


@dataclass(frozen=True, slots=True)
class AcceptQuarantined(Ask[QuarantineAccepted]):
    """Asks the store to carry out a change that leaps, or to let the engine try again."""

    TAG = "accept_quarantined"
    id: bytes


@dataclass(frozen=True, slots=True)
class QuarantineDropped(Message):
    TAG = "quarantine_dropped"
    was_kept: bool
    """False: there was no such entry."""


@dataclass(frozen=True, slots=True)
class DropQuarantined(Ask[QuarantineDropped]):
    """Asks the store to forget a change that leaps, and to refuse it from now on without keeping it."""

    TAG = "drop_quarantined"
    id: bytes


@dataclass(frozen=True, slots=True)
class DeletedEntry:
    """A document that was deleted, of which the content is kept."""

    id: str
    incarnation: int
    """The one that has ended."""
    at: float
    """When it ended here, in Unix seconds."""
    until: float
    """When its content goes, in Unix seconds, if the node runs until then and has room."""
    origin: str
    """As in Change: who ended it."""
    size: int
    """Bytes that it counts against the bound."""
    expires_at: float
    """Of the document, in Unix seconds; 0: never. If that had passed, nobody deleted it."""
    is_live: bool
    """Whether there is a document of that name now."""


@dataclass(frozen=True, slots=True)
class DeletedReply(Message):
    TAG = "deleted_reply"
    collection: str
    entries: tuple[DeletedEntry, ...]
    """By the UTF-8 bytes of the id, and for one id by the time of the end."""
    next_place: bytes
    """The `place` of the next page; empty: this is the last one."""


@dataclass(frozen=True, slots=True)
class ListDeleted(Ask[DeletedReply]):
    """Asks for a page of the deleted documents of a collection whose content is kept."""

    TAG = "list_deleted"
    collection: str
    place: bytes
    limit: int
    prefix: str = ""
    since: float = 0.0
    """Only those that ended at this Unix time or later."""


@dataclass(frozen=True, slots=True)
class DeletedCollectionsReply(Message):
    TAG = "deleted_collections_reply"
    collections: tuple[str, ...]
    """By name."""
    next_after: str
    documents: int
    """Ended documents that are kept, of all collections."""
    size: int
    """Their bytes together."""


@dataclass(frozen=True, slots=True)
class ListDeletedCollections(Ask[DeletedCollectionsReply]):
    """Asks for the collections with deleted documents whose content is kept."""

    TAG = "list_deleted_collections"
    after: str = ""
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class DeletedDocumentReply(Message):
    TAG = "deleted_document_reply"
    entry: DeletedEntry
    value: bytes
    """Its JSON; empty: it cannot be read."""


@dataclass(frozen=True, slots=True)
class ReadDeleted(Ask[DeletedDocumentReply]):
    """Asks for the content of a deleted document."""

    TAG = "read_deleted"
    collection: str
    id: str
    incarnation: int = 0
    """0: the last one that is kept."""


@dataclass(frozen=True, slots=True)
class UndeleteDocument(Ask[WrittenReply]):
    """Asks for a new incarnation with the content that a deletion has ended."""

    TAG = "undelete_document"
    collection: str
    id: str
    incarnation: int = 0
    """0: the last one that is kept."""


# --- store.sock: the feed -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowChanges(Follow[ChangesSeen | FeedGap]):
    """Asks for the changes after `since`, in order:
    first those in the feed, then new ones when they are on disk.

    The store keeps only a position for each follower. Therefore a slow follower needs no memory, and misses
    only changes that the feed no longer keeps (FeedGap).
    """

    TAG = "follow_changes"
    since: int
    """A sequence; -1: only new changes."""
    collection: str = ""
    """Empty: all collections."""
    id: str = ""
    """Empty: all documents of the collection."""
    prefix: str = ""
    """Only documents whose id begins with it; empty: all."""
    with_update: bool = False
    with_value: bool = False


# --- store.sock: Yjs clients --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StateReply(Message):
    """The state of a document for a Yjs client."""

    TAG = "state_reply"
    incarnation: int
    """The current incarnation; if the document does not exist, the one that the next write would begin."""
    exists: bool
    update: bytes
    """The update with everything that the client lacks."""
    state_vector: bytes
    fingerprint: bytes
    sequence: int
    ended: bytes = b""
    """Yjs-encoded state vector of the ended incarnations; empty: none is known. A client whose state
    includes a part of it has deleted content."""


@dataclass(frozen=True, slots=True)
class ReadState(Ask[StateReply]):
    """Asks, for a Yjs client, for the difference to its state vector and the store's state vector,
    of one moment."""

    TAG = "read_state"
    collection: str
    id: str
    state_vector: bytes


# --- engine.sock ---------------------------------------------------------------------------------------------------


class EngineKind(StrEnum):
    """The kinds of operations. Every WriteKind except DELETE is one of them, with the same value."""

    APPLY = "apply"
    """`payload` is a checked update without a gap; the result is the new value."""
    PUT = "put"
    """`payload` is the new value as JSON; the result is the smallest update that produces it."""
    PATCH = "patch"
    JSON_PATCH = "json_patch"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the engine on one document."""

    key: bytes
    """Identifies the document and its incarnation."""
    version: int
    """Number of the state before the operation;
    afterwards the engine caches the document as `next_version`."""
    next_version: int
    kind: EngineKind
    payload: bytes
    state: tuple[bytes, ...]
    """Updates in causal order that produce the state of `version`. Empty: the engine is expected to have
    that state in its cache, or the document is new (version 0)."""
    client: int
    """Yjs client id of the new structs."""


class EngineOutcome(StrEnum):
    """The outcome of an operation."""

    DONE = "done"
    NEEDS_STATE = "needs_state"
    """That version is not in the cache. The operation must be sent again with its state."""
    INVALID = "invalid"
    """The value or patch is invalid, as `message` and `where` describe. Nothing was changed."""
    TOO_LARGE = "too_large"
    """The document would be too large, as `message` describes. Nothing was changed."""
    PANICKED = "panicked"
    """The engine failed, and the cached document was discarded."""
    NEEDS_ALONE = "needs_alone"
    """The operation, or another one of its message, would kill the engine. It must be sent again with RunAlone."""
    TOO_COSTLY = "too_costly"
    """The operation takes more CPU time or memory than an operation may, as `message` says. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class OperationResult:
    outcome: EngineOutcome
    update: bytes
    """The update of PUT and PATCH, whose delete set may repeat known deletions; empty: nothing changes."""
    value: bytes
    """JSON."""
    message: str
    where: str
    cpu_seconds: float = 0.0
    """What the operation took."""


@dataclass(frozen=True, slots=True)
class OperationsReply(Message):
    TAG = "operations_reply"
    results: tuple[OperationResult, ...]


@dataclass(frozen=True, slots=True)
class RunOperations(Ask[OperationsReply]):
    """Asks for operations, which run in order.
    Each has its own result; those of one document build on each other."""

    TAG = "run_operations"
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class RunAlone(Ask[OperationsReply]):
    """Asks for one operation in a process of its own, with bounds of CPU time and memory.
    It comes with its state; the engine does not cache the document."""

    TAG = "run_alone"
    operation: Operation


# --- sync.sock ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeerState:
    """A peer that is connected or was discovered."""

    id: str
    """Node id; while that is unknown, the key of the discovered peer."""
    instance: str
    endpoint_id: str
    is_connected: bool
    state: PeerStatus
    rtt_ms: float
    """Negative: not measured."""
    is_in_sync: bool
    """Its root was equal to the local one when last compared, and all later pushes are acknowledged."""
    behind_documents: int
    """Number of documents that differ or wait for an acknowledgement; -1: unknown."""
    out_of_sync_since: float
    """Unix seconds; 0: in sync or never connected."""
    reason: str
    """Why the peer is not connected or not in sync, as a text for people."""
    connected_since: float
    last_seen: float
    addresses: tuple[str, ...]
    sources: tuple[str, ...]
    metadata: tuple[tuple[str, str], ...]
    neighbours: tuple[str, ...]
    """Ids of the nodes to which the peer is connected, as it reports them."""
    bytes_sent: int
    bytes_received: int
    is_twin: bool
    """Whether this node or another connected instance has the same node id."""
    version: str
    is_clock_known: bool = False
    """Whether the peer has told the time on this connection."""
    clock_offset: float = 0.0
    """Its wall clock minus that of this node, in seconds, if it is known."""
    absent_since: float = 0.0
    """Unix seconds at which a remembered peer was last connected; 0: it is connected, or never was."""
    failing_since: float = 0.0
    """Unix seconds of the first of the dials that have failed without a break; 0: none."""
    last_equal: float = 0.0
    """Unix seconds at which its root was last equal to that of this node; 0: never."""
    root: bytes = b""
    """The last root that it told; empty: none."""
    documents: int = -1
    """The number of documents that it told with that root; -1: unknown."""
    is_remembered: bool = False
    """Whether this node has authenticated it at least once, and has not forgotten it."""
    is_expected: bool = False
    """Whether PEAT_EXPECTED_PEERS names it."""
    documents_per_second: float = 0.0
    """Documents that this node fetches from it, while it does."""
    seconds_left: float = -1.0
    """Until it has fetched them all, as far as is known; -1: unknown."""
    blocked_since: float = 0.0
    """Unix seconds at which an operator has blocked it on this node; 0: it is not blocked."""
    deletions_paused_since: float = 0.0
    """Unix seconds since which this node carries out no deletions of it, because it made too many; 0: it does."""
    deletions_refused: int = 0
    """Documents that it would have deleted since then, or since the start of the store."""


@dataclass(frozen=True, slots=True)
class PeersReply(Message):
    """All peers of the node, the documents that differ, and whether the clock of the node is right."""

    TAG = "peers_reply"
    peers: tuple[PeerState, ...]
    root: bytes
    differing: tuple[str, ...]
    """`collection/id` of documents that differ, at most 100."""
    clock: ClockVerdict = UNCOMPARED
    documents: int = -1
    """The number of documents of this node, as its store last told it; -1: unknown."""
    expected: int = 0
    """The number of peers that PEAT_EXPECTED_PEERS expects."""
    missing: tuple[str, ...] = ()
    """The node ids that PEAT_EXPECTED_PEERS names and that are not connected."""
    is_clock_offset_known: bool = False
    """Whether a connected peer has told the time."""
    clock_offset: float = 0.0
    """The clock of this node minus the median of its connected peers, in seconds, if it is known."""
    now: float = 0.0
    """Unix seconds by the clock of this node: the ages of the times in this reply count from it."""


@dataclass(frozen=True, slots=True)
class GetPeers(Ask[PeersReply]):
    TAG = "get_peers"


@dataclass(frozen=True, slots=True)
class PeerLogReply(Message):
    """The last events of peers, at most 50, the oldest first."""

    TAG = "peer_log_reply"
    events: tuple[PeerEvent, ...]


@dataclass(frozen=True, slots=True)
class GetPeerLog(Ask[PeerLogReply]):
    TAG = "get_peer_log"


@dataclass(frozen=True, slots=True)
class PeerForgotten(Message):
    TAG = "peer_forgotten"


@dataclass(frozen=True, slots=True)
class ForgetPeer(Ask[PeerForgotten]):
    """Asks to forget an absent peer, here and on all nodes that can be reached.

    Fails with NOT_FOUND if it is unknown, and with INVALID if it is connected.
    """

    TAG = "forget_peer"
    peer: str
    """Node id."""


@dataclass(frozen=True, slots=True)
class BlocksChanged(Message):
    """The answer to BlockPeer and UnblockPeer."""

    TAG = "blocks_changed"


@dataclass(frozen=True, slots=True)
class BlockPeer(Ask[BlocksChanged]):
    """Asks this node to end its connections to a node, known or not, and to refuse it from now on.

    Fails with INVALID if the id is no node id or that of this node, and with BUSY if too many are blocked.
    """

    TAG = "block_peer"
    peer: str
    """Node id."""
    reason: str


@dataclass(frozen=True, slots=True)
class UnblockPeer(Ask[BlocksChanged]):
    """Asks to let a blocked node in again. Fails with NOT_FOUND if it is not blocked."""

    TAG = "unblock_peer"
    peer: str
    """Node id."""


@dataclass(frozen=True, slots=True)
class Leaving(Message):
    TAG = "leaving"


@dataclass(frozen=True, slots=True)
class LeaveMesh(Ask[Leaving]):
    """Asks the node to say goodbye for good when it stops, so that its peers forget it."""

    TAG = "leave_mesh"


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
    """Asks for every change of connections and neighbours."""

    TAG = "follow_topology"


@dataclass(frozen=True, slots=True)
class ReplicasReply(Message):
    TAG = "replicas_reply"
    count: int
    """Number of peers that have the change on disk."""
    peers: tuple[str, ...]
    is_other_feed: bool = False
    """Whether the store has begun another feed, in which the sequence means something else."""


@dataclass(frozen=True, slots=True)
class WaitReplicas(Ask[ReplicasReply]):
    """Answered when `count` peers have all changes up to `sequence` on disk, after `seconds`, or when the store has
    begun another feed."""

    TAG = "wait_replicas"
    sequence: int
    count: int
    seconds: float
    generation: int = 0
    """Generation of the store that assigned the sequence; 0: unknown."""


@dataclass(frozen=True, slots=True)
class PublishAwareness(Message):
    """A Yjs awareness update (y-protocols) for all peers. It is never stored."""

    TAG = "publish_awareness"
    collection: str
    id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class AwarenessSeen(Message):
    """Awareness from a peer, or from another process of the broker."""

    TAG = "awareness_seen"
    collection: str
    id: str
    payload: bytes
    sender: str
    """Instance of the peer that sent it or passed it on, or of this node."""


@dataclass(frozen=True, slots=True)
class FollowAwareness(Follow[AwarenessSeen]):
    """Asks for all awareness that this node receives."""

    TAG = "follow_awareness"
