"""Writes a document, and waits for the peers that the client requests."""

from __future__ import annotations

import secrets
import time

from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON, ReplicaProgress, document_headers, written_body
from peatnode.api.failures import HttpProblem
from peatnode.api.names import NEW_ID_BYTES
from peatnode.api.writes import (
    MAX_TTL_SECONDS,
    REPLICAS_GRACE_SECONDS,
    UNCHANGED_EXPIRY,
    expires_at,
    replica_progress,
    write_message,
)
from peatnode.errors import LinkError
from peatnode.ipc.messages import (
    ReplicasReply,
    UndeleteDocument,
    WaitReplicas,
    WriteDocument,
    WriteKind,
    WrittenReply,
)
from workers.broker.http.limits import BrokerLimits
from workers.broker.http.requests import (
    integer_parameter,
    seconds_parameter,
)
from workers.broker.worker_client import StoreClient, WorkerClient

WRITE_PARAMETERS = frozenset({"replicas", "timeout", "ttl"})


def new_id() -> str:
    """A new id of 120 random bits, in hex."""
    return secrets.token_hex(NEW_ID_BYTES)


def expiry(request: Request) -> float:
    """When the document expires, in Unix seconds; 0: never; negative: unchanged. Raises HttpProblem."""
    seconds = seconds_parameter(request, "ttl", -1.0, MAX_TTL_SECONDS)
    return expires_at(seconds if seconds >= 0 else None, time.time())


def replicas_of(request: Request, limits: BrokerLimits) -> tuple[int, float]:
    """The number of peers to wait for, and the time in seconds. Raises HttpProblem."""
    wanted = integer_parameter(request, "replicas", 0, 0, limits.replicas)
    return wanted, seconds_parameter(request, "timeout", 5.0, limits.replicas_seconds)


def write_of(
    request: Request, collection: str, doc_id: str, kind: WriteKind, content: bytes
) -> WriteDocument:
    """The write that the request describes, with its conditions. Raises HttpProblem."""
    return write_message(
        collection,
        doc_id,
        kind,
        content,
        request.get_header("if-match"),
        request.get_header("if-none-match"),
        expiry(request) if kind is not WriteKind.DELETE else UNCHANGED_EXPIRY,
    )


class DocumentWriter:
    """Sends writes to the store, and asks sync which peers have them."""

    def __init__(self, store: StoreClient, sync: WorkerClient, limits: BrokerLimits) -> None:
        self._store = store
        self._sync = sync
        self._limits = limits

    async def answer(
        self, request: Request, response: Response, write: WriteDocument | UndeleteDocument
    ) -> WrittenReply:
        """Writes, waits for the requested number of peers, and fills the response. Raises HttpProblem."""
        wanted, seconds = replicas_of(request, self._limits)
        written = await self.write(write)
        replicas = await self.wait_replicas(written, wanted, seconds) if wanted else None
        is_deleted = isinstance(write, WriteDocument) and write.kind is WriteKind.DELETE
        if replicas is not None and replicas.have < wanted:
            response.status = 202
        else:
            response.status = 201 if written.was_created else 200
        if replicas is not None:
            response.set_header("peat-replicas", str(replicas.have))
        if not is_deleted:
            response.set_headers(document_headers(written.fingerprint, written.sequence))
        response.content_type = JSON
        response.data = written_body(written, is_deleted, replicas)
        return written

    async def write(self, write: WriteDocument | UndeleteDocument) -> WrittenReply:
        """Sends the write; returns when it is on disk. Raises HttpProblem."""
        return await self._store.write(write)

    async def wait_replicas(
        self, written: WrittenReply, wanted: int, seconds: float
    ) -> ReplicaProgress:
        """Waits until enough peers have the write on disk, or the time is over."""
        message = WaitReplicas(written.sequence, wanted, seconds, written.generation)
        reply: ReplicasReply | None
        try:
            reply = await self._sync.ask_once(message, seconds + REPLICAS_GRACE_SECONDS)
        except LinkError:
            reply = None
        return replica_progress(reply, wanted, seconds)


def conflict(doc_id: str) -> HttpProblem:
    return HttpProblem(409, "exists", f"The document {doc_id!r} already exists.", "_id")
