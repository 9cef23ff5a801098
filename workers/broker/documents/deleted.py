"""The routes of deleted documents: what is kept of them, and how they come back."""

from __future__ import annotations

from falcon.asgi import Request, Response

from peatnode.api.encode_document import (
    JSON,
    deleted_collections_body,
    deleted_document_body,
    deleted_page_body,
)
from peatnode.api.failures import HttpProblem
from peatnode.api.names import check_names
from peatnode.documents.limits import MAX_INCARNATION
from peatnode.ipc.messages import (
    ListDeleted,
    ListDeletedCollections,
    ReadDeleted,
    UndeleteDocument,
)
from peatnode.ipc.peer_names import PeerNames
from workers.broker.documents.writes import DocumentWriter
from workers.broker.http.limits import BrokerLimits
from workers.broker.http.requests import (
    check_parameters,
    integer_parameter,
    seconds_parameter,
    text_parameter,
)
from workers.broker.worker_client import WorkerClient

PAGE_PARAMETERS = frozenset({"limit", "cursor"})
LATEST = 1e11
"""Unix seconds; the year 5138."""


class DeletedCollectionsResource:
    """GET /deleted"""

    def __init__(self, store: WorkerClient, limits: BrokerLimits) -> None:
        self._store = store
        self._limits = limits

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, PAGE_PARAMETERS)
        most = self._limits.page_documents
        limit = integer_parameter(request, "limit", most, 1, most)
        cursor = text_parameter(request, "cursor")
        if cursor:
            check_names(cursor)
        reply = await self._store.ask_retrying(ListDeletedCollections(cursor, limit))
        response.content_type = JSON
        response.data = deleted_collections_body(reply)

    on_head = on_get


class DeletedResource:
    """GET /deleted/{collection}"""

    def __init__(self, store: WorkerClient, names: PeerNames, limits: BrokerLimits) -> None:
        self._store = store
        self._names = names
        self._limits = limits

    async def on_get(self, request: Request, response: Response, collection: str) -> None:
        check_names(collection)
        check_parameters(request, PAGE_PARAMETERS | {"prefix", "since"})
        most = self._limits.page_documents
        question = ListDeleted(
            collection,
            _place(text_parameter(request, "cursor")),
            integer_parameter(request, "limit", most, 1, most),
            text_parameter(request, "prefix"),
            seconds_parameter(request, "since", 0.0, LATEST),
        )
        reply = await self._store.ask_retrying(question)
        await self._names.learn([entry.origin for entry in reply.entries])
        response.content_type = JSON
        response.data = deleted_page_body(reply, self._names.name_of)

    on_head = on_get


class DeletedDocumentResource:
    """GET /deleted/{collection}/{id}"""

    def __init__(self, store: WorkerClient, names: PeerNames) -> None:
        self._store = store
        self._names = names

    async def on_get(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        check_parameters(request, frozenset({"incarnation"}))
        question = ReadDeleted(collection, doc_id, _incarnation(request))
        reply = await self._store.ask_retrying(question)
        await self._names.learn([reply.entry.origin])
        response.content_type = JSON
        response.data = deleted_document_body(collection, reply, self._names.name_of)

    on_head = on_get


class UndeleteResource:
    """POST /deleted/{collection}/{id}/undelete"""

    def __init__(self, writer: DocumentWriter) -> None:
        self._writer = writer

    async def on_post(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        check_parameters(request, frozenset({"incarnation", "replicas", "timeout"}))
        message = UndeleteDocument(collection, doc_id, _incarnation(request))
        await self._writer.answer(request, response, message)


def _incarnation(request: Request) -> int:
    """0: the last one. Raises HttpProblem."""
    if not text_parameter(request, "incarnation"):
        return 0
    return integer_parameter(request, "incarnation", 0, 1, MAX_INCARNATION - 1)


def _place(cursor: str) -> bytes:
    """Raises HttpProblem."""
    try:
        return bytes.fromhex(cursor)
    except ValueError:
        raise HttpProblem(
            400, "bad-cursor", "This is not a cursor of the list of deleted documents.", "cursor"
        ) from None
