"""A typed client of a node's API: `Client` blocks, `AsyncClient` is for asyncio.

Code that needs nothing but the public API enters; users import the names of `__all__` from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peatnode.client.errors import (
    BadArgument,
    ClientError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Problem,
    ProblemAnswer,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    UnknownOutcome,
    Unreachable,
)
from peatnode.client.events import (
    Current,
    CurrentDocument,
    Dropped,
    Event,
    Gap,
    OtherEvent,
    PeerConnected,
    PeerDisconnected,
    SyncEvent,
    TopologyChanged,
)
from peatnode.client.models import (
    Check,
    Collection,
    Deleted,
    DeletedDocument,
    DeletedPage,
    Document,
    ImportedLine,
    Json,
    LostDocument,
    Node,
    NodeClock,
    NodeFinding,
    NodeProblem,
    Page,
    Peer,
    PeerLogEntry,
    Peers,
    Quarantined,
    Readiness,
    Replicas,
    Source,
    Topology,
    Worker,
    Written,
)
from peatnode.client.resume import Transport
from peatnode.client.retry import RetryPolicy

if TYPE_CHECKING:
    from peatnode.client._async.client import AsyncClient
    from peatnode.client._sync.client import Client

__all__ = [
    "AsyncClient",
    "BadArgument",
    "Check",
    "Client",
    "ClientError",
    "Collection",
    "Conflict",
    "Current",
    "CurrentDocument",
    "Deleted",
    "DeletedDocument",
    "DeletedPage",
    "Document",
    "Dropped",
    "Event",
    "Forbidden",
    "Gap",
    "ImportedLine",
    "InvalidRequest",
    "Json",
    "LostDocument",
    "Node",
    "NodeClock",
    "NodeFinding",
    "NodeProblem",
    "NotFound",
    "OtherEvent",
    "Page",
    "Peer",
    "PeerConnected",
    "PeerDisconnected",
    "PeerLogEntry",
    "Peers",
    "PreconditionFailed",
    "Problem",
    "ProblemAnswer",
    "Quarantined",
    "Readiness",
    "Replicas",
    "RetryPolicy",
    "Source",
    "SyncEvent",
    "TooLarge",
    "Topology",
    "TopologyChanged",
    "Transport",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "UnknownOutcome",
    "Unreachable",
    "Worker",
    "Written",
]


def __getattr__(name: str) -> Any:
    """Imports the clients on first use: their import of httpx takes a fifth of a second."""
    if name == "Client":
        from peatnode.client._sync.client import Client

        return Client
    if name == "AsyncClient":
        from peatnode.client._async.client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
