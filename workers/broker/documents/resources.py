"""The routes of documents and collections."""

from __future__ import annotations

from dataclasses import replace

from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON, collections_body, document_body, document_headers
from peatnode.api.etags import ANY, matches
from peatnode.api.failures import HttpProblem
from peatnode.api.json_rules import parse_document, take_id
from peatnode.api.names import check_names, document_path
from peatnode.api.writes import content_of, patch_kind
from peatnode.codec.lines import without_mark
from peatnode.documents.names import check_collection
from peatnode.errors import BadName
from peatnode.ipc.messages import (
    CollectionsReply,
    DocumentReply,
    GetDocument,
    ListCollections,
    WriteKind,
)
from workers.broker.documents.bulk import BulkWrites
from workers.broker.documents.listing import CollectionListing
from workers.broker.documents.writes import (
    WRITE_PARAMETERS,
    DocumentWriter,
    conflict,
    new_id,
    write_of,
)
from workers.broker.http.limits import BrokerLimits
from workers.broker.http.requests import (
    check_parameters,
    flag_parameter,
    if_match,
    if_none_match,
    integer_parameter,
    is_json,
    media_type,
    read_body,
    text_parameter,
)
from workers.broker.worker_client import WorkerClient

NO_PARAMETERS: frozenset[str] = frozenset()
PAGE_PARAMETERS = frozenset({"limit", "cursor"})


class CollectionsResource:
    """GET /documents"""

    def __init__(self, store: WorkerClient, limits: BrokerLimits) -> None:
        self._store = store
        self._limits = limits

    async def on_get(self, request: Request, response: Response) -> None:
        check_parameters(request, PAGE_PARAMETERS)
        most = self._limits.page_documents
        limit = integer_parameter(request, "limit", most, 1, most)
        question = ListCollections(_cursor_of(request), limit)
        reply: CollectionsReply = await self._store.ask_retrying(question)
        response.content_type = JSON
        response.data = collections_body(reply)

    on_head = on_get


def _cursor_of(request: Request) -> str:
    """The name after which a page of collections begins; empty: the first page. Raises HttpProblem."""
    cursor = text_parameter(request, "cursor")
    try:
        if cursor:
            check_collection(cursor)
    except BadName:
        raise HttpProblem(
            400, "bad-cursor", "This is not a cursor of the list of collections.", "cursor"
        ) from None
    return cursor


class CollectionResource:
    """GET and POST /documents/{collection}"""

    def __init__(
        self,
        listing: CollectionListing,
        bulk: BulkWrites,
        writer: DocumentWriter,
        limits: BrokerLimits,
    ) -> None:
        self._listing = listing
        self._bulk = bulk
        self._writer = writer
        self._limits = limits

    async def on_get(self, request: Request, response: Response, collection: str) -> None:
        check_names(collection)
        await self._listing.answer(request, response, collection)

    on_head = on_get

    async def on_post(self, request: Request, response: Response, collection: str) -> None:
        check_names(collection)
        if flag_parameter(request, "bulk"):
            await self._bulk.answer(request, response, collection)
            return
        check_parameters(request, WRITE_PARAMETERS | {"bulk"})
        _check_type(request, is_required=True)
        body = without_mark(await read_body(request, self._limits))
        value = parse_document(body)
        doc_id, content = take_id(value, body)
        if doc_id:
            check_names(collection, doc_id)
        write = write_of(request, collection, doc_id or new_id(), WriteKind.PUT, content)
        if doc_id:
            write = replace(write, if_none_match=(ANY,))
        try:
            written = await self._writer.answer(request, response, write)
        except HttpProblem as problem:
            raise conflict(doc_id) if doc_id and problem.status == 412 else problem from None
        response.set_header("location", document_path(collection, written.id))


class DocumentResource:
    """GET, HEAD, PUT, PATCH and DELETE /documents/{collection}/{id}"""

    def __init__(self, store: WorkerClient, writer: DocumentWriter, limits: BrokerLimits) -> None:
        self._store = store
        self._writer = writer
        self._limits = limits

    async def on_get(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        check_parameters(request, NO_PARAMETERS)
        is_fresh = "no-cache" in (request.get_header("cache-control") or "").lower()
        reply = await self._store.ask_retrying(GetDocument(collection, doc_id, is_fresh))
        wanted, unwanted = if_match(request), if_none_match(request)
        if wanted and not matches(wanted, reply.fingerprint):
            raise HttpProblem(
                412, "precondition-failed", "The document has another fingerprint.", "If-Match"
            )
        fill_document(response, reply, unwanted)

    on_head = on_get

    async def on_put(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        check_parameters(request, WRITE_PARAMETERS)
        _check_type(request, is_required=False)
        body = await read_body(request, self._limits)
        content = content_of(WriteKind.PUT, body, doc_id)
        write = write_of(request, collection, doc_id, WriteKind.PUT, content)
        await self._writer.answer(request, response, write)

    async def on_patch(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        check_parameters(request, WRITE_PARAMETERS)
        kind = patch_kind(media_type(request))
        body = await read_body(request, self._limits)
        write = write_of(request, collection, doc_id, kind, content_of(kind, body, doc_id))
        await self._writer.answer(request, response, write)

    async def on_delete(
        self, request: Request, response: Response, collection: str, doc_id: str
    ) -> None:
        check_names(collection, doc_id)
        check_parameters(request, WRITE_PARAMETERS - {"ttl"})
        write = write_of(request, collection, doc_id, WriteKind.DELETE, b"")
        await self._writer.answer(request, response, write)


def fill_document(response: Response, reply: DocumentReply, unwanted: tuple[bytes, ...]) -> None:
    """Answers with the document, or with 304 if its fingerprint is one of `unwanted` (If-None-Match)."""
    response.set_headers(document_headers(reply.fingerprint, reply.sequence))
    if unwanted and matches(unwanted, reply.fingerprint):
        response.status = 304
        return
    response.content_type = JSON
    response.data = document_body(reply)


def _check_type(request: Request, is_required: bool) -> None:
    kind = media_type(request)
    if is_json(kind) or (not kind and not is_required):
        return
    raise HttpProblem(
        415,
        "unsupported-media-type",
        f"The Content-Type of a document must be application/json, not {kind or 'empty'}.",
        "Content-Type",
    )
