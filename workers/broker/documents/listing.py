"""GET /documents/{collection}: pages, queries, the whole of it as NDJSON, or followed live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON, listing_body, with_id
from peatnode.api.failures import HttpProblem
from peatnode.ipc.messages import DocumentsReply, ListDocuments, ListedDocument
from workers.broker.documents.export import answer_export
from workers.broker.documents.query import ListingQuery, decode_cursor, encode_cursor, parse_query
from workers.broker.documents.watch import answer_watch
from workers.broker.http.requests import (
    check_parameters,
    flag_parameter,
    integer_parameter,
    text_parameter,
    text_parameters,
)
from workers.broker.services import BrokerServices

QUERY_PARAMETERS = frozenset(
    {"where", "sort", "fields", "prefix", "limit", "cursor", "format", "watch"}
)

DEFAULT_PAGE = 100


async def answer_listing(
    broker: BrokerServices, request: Request, response: Response, collection: str
) -> None:
    """Raises HttpProblem."""
    check_parameters(request, QUERY_PARAMETERS)
    kind = text_parameter(request, "format", "json")
    if kind not in ("json", "ndjson"):
        raise HttpProblem(
            400, "bad-parameter", f"format is json or ndjson, not {kind!r}.", "format"
        )
    if flag_parameter(request, "watch"):
        check_parameters(request, frozenset({"watch", "prefix", "format"}))
        await answer_watch(broker, request, response, collection)
    elif kind == "ndjson":
        check_parameters(request, frozenset({"format", "prefix"}))
        await answer_export(broker, request, response, collection)
    else:
        await _answer_page(broker, request, response, collection)


async def _answer_page(
    broker: BrokerServices, request: Request, response: Response, collection: str
) -> None:
    query = parse_query(
        text_parameters(request, "where"),
        text_parameter(request, "sort"),
        text_parameter(request, "fields"),
        text_parameter(request, "prefix"),
        broker.limits,
    )
    limit = integer_parameter(request, "limit", DEFAULT_PAGE, 1, broker.limits.page_documents)
    position = decode_cursor(query, text_parameter(request, "cursor"))
    response.content_type = JSON
    if query.sort:
        response.data = await _sorted_page(broker, collection, query, limit, position)
    else:
        response.data = await _page(broker, collection, query, limit, position)


async def read_page(
    broker: BrokerServices, collection: str, after: str, prefix: str, limit: int
) -> DocumentsReply:
    message = ListDocuments(
        collection=collection,
        after=after,
        limit=limit,
        max_bytes=broker.limits.page_bytes,
        prefix=prefix,
    )
    return await broker.store.ask_retrying(message)


async def read_pages(
    broker: BrokerServices, collection: str, after: str, query: ListingQuery, limit: int
) -> AsyncIterator[DocumentsReply]:
    """Pages until there is no more; the loop may turn between them."""
    while True:
        page = await read_page(broker, collection, after, query.prefix, limit)
        yield page
        if not page.next_after:
            return
        after = page.next_after
        await asyncio.sleep(0)


async def _page(
    broker: BrokerServices,
    collection: str,
    query: ListingQuery,
    limit: int,
    position: tuple[Any, ...] | None,
) -> bytes:
    """In order of names. A query that finds little stops at a bound and gives a cursor to go on from."""
    after = position[-1] if position else ""
    size = limit if query.is_plain else broker.limits.page_documents
    found: list[bytes] = []
    scanned = 0
    async for page in read_pages(broker, collection, after, query, size):
        for document in page.documents:
            after = document.id
            line = _select(query, document)
            if line is None:
                continue
            found.append(line)
            if len(found) == limit:
                break
        scanned += len(page.documents)
        is_last = bool(page.documents) and after == page.documents[-1].id and not page.next_after
        if len(found) == limit or scanned >= broker.limits.scan_documents:
            break
    else:
        is_last = True
    cursor = "" if is_last else encode_cursor(query, (after,))
    return listing_body(collection, found, len(found), page.count, page.sequence, cursor)


def _select(query: ListingQuery, document: ListedDocument) -> bytes | None:
    """The document as it is listed, or None where the query does not want it."""
    if query.is_plain:
        return with_id(document.id, document.value)
    content = orjson.loads(document.value)
    if not query.matches(content):
        return None
    return _projected(query, document.id, content)


def _projected(query: ListingQuery, doc_id: str, content: dict[str, Any]) -> bytes:
    result = dict(query.project(content))
    result["_id"] = doc_id
    return orjson.dumps(result)


async def _sorted_page(
    broker: BrokerServices,
    collection: str,
    query: ListingQuery,
    limit: int,
    position: tuple[Any, ...] | None,
) -> bytes:
    """Looks at the whole collection and keeps only the page."""
    best: list[tuple[tuple[Any, ...], Any]] = []
    is_more = False
    scanned = 0
    async for page in read_pages(broker, collection, "", query, broker.limits.page_documents):
        scanned += len(page.documents)
        if scanned > broker.limits.scan_documents:
            raise HttpProblem(
                422,
                "too-many-documents",
                f"More than {broker.limits.scan_documents} documents cannot be sorted; narrow it by prefix.",
                "sort",
            )
        for document in page.documents:
            content = orjson.loads(document.value)
            if not query.matches(content):
                continue
            key = query.key(content, document.id)
            if position is None or query.compare(key, position) > 0:
                best.append((key, content))
        is_more = is_more or len(best) > limit
        best = query.smallest(best, limit)
    lines = [_projected(query, key[-1], content) for key, content in best]
    cursor = encode_cursor(query, best[-1][0]) if is_more else ""
    return listing_body(collection, lines, len(lines), page.count, page.sequence, cursor)
