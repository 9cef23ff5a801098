"""GET /documents/{collection}: a page, a query, an export or a watch."""

from __future__ import annotations

from typing import Any

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import JSON, listing_body, named, with_id
from peatnode.api.failures import HttpProblem
from peatnode.ipc.messages import DocumentsReply, ListedDocument
from workers.broker.documents.export import CollectionExport
from workers.broker.documents.pages import CollectionReader
from workers.broker.documents.query import ListingQuery, decode_cursor, encode_cursor, parse_query
from workers.broker.documents.watch import CollectionWatch
from workers.broker.http.limits import BrokerLimits
from workers.broker.http.memory import require_memory
from workers.broker.http.requests import (
    check_parameters,
    flag_parameter,
    integer_parameter,
    text_parameter,
    text_parameters,
)

QUERY_PARAMETERS = frozenset(
    {"where", "sort", "fields", "prefix", "limit", "cursor", "format", "watch"}
)

DEFAULT_PAGE = 100
PARSED_FACTOR = 8
"""Memory of parsed documents, as a multiple of their JSON."""
ENCODED_FACTOR = 3
"""Memory in which documents are encoded and joined, as a multiple of their JSON."""


class CollectionListing:
    """Answers GET of a collection, in the form that the parameters request."""

    def __init__(
        self,
        reader: CollectionReader,
        export: CollectionExport,
        watch: CollectionWatch,
        limits: BrokerLimits,
    ) -> None:
        self._reader = reader
        self._export = export
        self._watch = watch
        self._limits = limits

    async def answer(self, request: Request, response: Response, collection: str) -> None:
        """Fills the response. Raises HttpProblem."""
        check_parameters(request, QUERY_PARAMETERS)
        kind = text_parameter(request, "format", "json")
        if kind not in ("json", "ndjson"):
            raise HttpProblem(
                400, "bad-parameter", f"format must be json or ndjson, not {kind!r}.", "format"
            )
        if flag_parameter(request, "watch"):
            check_parameters(request, frozenset({"watch", "prefix", "format"}))
            await self._watch.answer(request, response, collection)
        elif kind == "ndjson":
            check_parameters(request, frozenset({"format", "prefix"}))
            await self._export.answer(request, response, collection)
        else:
            await self._answer_page(request, response, collection)

    async def _answer_page(self, request: Request, response: Response, collection: str) -> None:
        query = parse_query(
            text_parameters(request, "where"),
            text_parameter(request, "sort"),
            text_parameter(request, "fields"),
            text_parameter(request, "prefix"),
            self._limits,
        )
        limit = integer_parameter(request, "limit", DEFAULT_PAGE, 1, self._limits.page_documents)
        position = decode_cursor(query, text_parameter(request, "cursor"))
        response.content_type = JSON
        make_page = self._sorted_page if query.sort else self._page
        response.data = await make_page(collection, query, limit, position)

    async def _page(
        self,
        collection: str,
        query: ListingQuery,
        limit: int,
        position: tuple[Any, ...] | None,
    ) -> bytes:
        """A page in the order of ids. A query ends after `scan_documents` documents, with a cursor."""
        after = position[-1] if position else ""
        size = limit if query.is_plain else self._limits.page_documents
        found: list[bytes] = []
        scanned = 0
        async for page in self._reader.pages(collection, query.prefix, after, size):
            if not query.is_plain:
                require_memory(PARSED_FACTOR * _size_of(page))
            for document in page.documents:
                after = document.id
                line = _select(query, document)
                if line is None:
                    continue
                found.append(line)
                if len(found) == limit:
                    break
            scanned += len(page.documents)
            is_last = (
                bool(page.documents) and after == page.documents[-1].id and not page.next_after
            )
            if len(found) == limit or scanned >= self._limits.scan_documents:
                break
        else:
            is_last = True
        cursor = "" if is_last else encode_cursor(query, (after,))
        return listing_body(collection, found, len(found), page.count, page.sequence, cursor)

    async def _sorted_page(
        self,
        collection: str,
        query: ListingQuery,
        limit: int,
        position: tuple[Any, ...] | None,
    ) -> bytes:
        """A page in the order of `sort`. Reads the whole collection. Raises HttpProblem."""
        best: list[tuple[tuple[Any, ...], Any]] = []
        is_more = False
        scanned = 0
        async for page in self._reader.pages(collection, query.prefix):
            scanned += len(page.documents)
            if scanned > self._limits.scan_documents:
                raise HttpProblem(
                    422,
                    "too-many-documents",
                    f"More than {self._limits.scan_documents} documents cannot be sorted; use prefix.",
                    "sort",
                )
            require_memory(PARSED_FACTOR * _size_of(page))
            for document in page.documents:
                content = orjson.loads(document.value)
                if not query.matches(content):
                    continue
                key = query.key(content, document.id)
                if position is None or query.compare(key, position) > 0:
                    best.append((key, (content, len(document.value))))
            is_more = is_more or len(best) > limit
            best = query.smallest(best, limit)
        require_memory(ENCODED_FACTOR * sum(size for _, (_, size) in best))
        lines = [_projected(query, key[-1], content) for key, (content, _) in best]
        cursor = encode_cursor(query, best[-1][0]) if is_more else ""
        return listing_body(collection, lines, len(lines), page.count, page.sequence, cursor)


def _size_of(page: DocumentsReply) -> int:
    return sum(len(document.value) for document in page.documents)


def _select(query: ListingQuery, document: ListedDocument) -> bytes | None:
    """The document as JSON for the list, or None if it does not match the query."""
    if query.is_plain:
        return with_id(document.id, document.value)
    content = orjson.loads(document.value)
    if not query.matches(content):
        return None
    return _projected(query, document.id, content)


def _projected(query: ListingQuery, doc_id: str, content: dict[str, Any]) -> bytes:
    return orjson.dumps(named(doc_id, query.project(content)))
