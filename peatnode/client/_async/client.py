"""The client: one method for each request of the API, and the loop that repeats requests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from peatnode.client._async.feed import follow, watch
from peatnode.client._async.streams import open_stream, read_lines
from peatnode.client._wire import bulk, requests
from peatnode.client._wire.bulk import ImportChunk
from peatnode.client._wire.requests import (
    Conditions,
    ListQuery,
    NodeRequest,
    QueryOptions,
    WriteOptions,
)
from peatnode.client._wire.responses import NodeResponse
from peatnode.client._wire.transport import (
    ConnectionSettings,
    raise_problem,
    response_of,
    retry_after,
    translated_errors,
)
from peatnode.client.errors import Unavailable, UnknownOutcome, Unreachable
from peatnode.client.events import Event
from peatnode.client.models import (
    Collection,
    Deleted,
    DeletedDocument,
    DeletedPage,
    Document,
    ImportedLine,
    Json,
    LostDocument,
    Node,
    Page,
    Peer,
    PeerLogEntry,
    Peers,
    Quarantined,
    Readiness,
    Topology,
    Written,
)
from peatnode.client.resume import EventFilter, FeedCursor, FilterOptions, Transport
from peatnode.client.retry import RetryPolicy

T = TypeVar("T")


class AsyncClient:
    """A client of one node. Methods raise ClientError, or ValueError for an argument that cannot be sent.

    It repeats a read a few times if the node cannot be reached, and a write only if nothing can have
    changed. Several threads may share a `Client`; an `AsyncClient` belongs to one event loop.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8081",
        token: str = "",
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
    ) -> None:
        """`timeout`: seconds for one response. Raises ValueError for an invalid URL."""
        self._settings = ConnectionSettings(url, token, timeout, retry or RetryPolicy())
        self._random = random.Random()  # noqa: S311  # jitter
        self._http = httpx.AsyncClient(
            base_url=self._settings.base,
            headers=self._settings.headers,
            timeout=self._settings.timeouts(),
        )

    async def close(self) -> None:
        """Closes the connections to the node."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # --- documents

    async def get(self, collection: str, id: str) -> Document:
        """Raises NotFound if the document does not exist."""
        return await self._run(requests.get_document(collection, id))

    async def put(
        self, collection: str, id: str, value: Json | bytes, **options: Unpack[WriteOptions]
    ) -> Written:
        """Replaces the document with `value`, or creates it. Bytes are sent unchanged as JSON."""
        return await self._run(requests.put_document(collection, id, value, Conditions(**options)))

    async def patch(
        self, collection: str, id: str, patch: Json | bytes, **options: Unpack[WriteOptions]
    ) -> Written:
        """Applies a JSON Merge Patch (RFC 7396)."""
        return await self._run(
            requests.patch_document(collection, id, patch, Conditions(**options))
        )

    async def json_patch(
        self,
        collection: str,
        id: str,
        operations: Iterable[Mapping[str, Any]],
        **options: Unpack[WriteOptions],
    ) -> Written:
        """Applies a JSON Patch (RFC 6902)."""
        return await self._run(
            requests.json_patch_document(collection, id, operations, Conditions(**options))
        )

    async def create(
        self, collection: str, value: Json | bytes, **options: Unpack[WriteOptions]
    ) -> Written:
        """Creates a document with an id that the node chooses."""
        return await self._run(requests.create_document(collection, value, Conditions(**options)))

    async def delete(self, collection: str, id: str, **options: Unpack[WriteOptions]) -> Written:
        """Deletes the document on every node. Raises NotFound if it does not exist."""
        return await self._run(requests.delete_document(collection, id, Conditions(**options)))

    async def write(
        self, kind: str, collection: str, id: str, body: bytes, conditions: Conditions
    ) -> Written:
        """Writes by the name of the kind: put, patch, json_patch, delete, or create, which ignores `id`."""
        return await self._run(requests.write(kind, collection, id, body, conditions))

    async def collections(self) -> tuple[Collection, ...]:
        """All collections that have documents, by name."""
        found, cursor = await self._run(requests.list_collections())
        while cursor:
            page, cursor = await self._run(requests.list_collections(cursor))
            found += page
        return found

    async def page(
        self,
        collection: str,
        limit: int | None = None,
        cursor: str = "",
        **query: Unpack[QueryOptions],
    ) -> Page:
        """One page of a list. `limit`: documents in the page; `cursor`: `next_cursor` of the page before."""
        return await self._run(requests.list_page(collection, ListQuery(**query), limit, cursor))

    async def documents(
        self, collection: str, page_size: int | None = None, **query: Unpack[QueryOptions]
    ) -> AsyncIterator[Document]:
        """All documents that match the query. The client requests each page when it is needed."""
        cursor = ""
        while True:
            page = await self.page(collection, page_size, cursor, **query)
            for document in page.documents:
                yield document
            if not (cursor := page.next_cursor):
                return

    # --- bulk

    async def import_documents(
        self, collection: str, documents: Iterable[Mapping[str, Any] | bytes]
    ) -> AsyncIterator[ImportedLine]:
        """Writes each document, with its id in `_id`, and yields the result of each as it arrives."""
        for chunk in bulk.chunks_of(bulk.line_of(document) for document in documents):
            for line in await self.import_chunk(collection, chunk):
                yield line

    async def import_chunk(self, collection: str, chunk: ImportChunk) -> tuple[ImportedLine, ...]:
        """Sends one request of an import."""
        return await self._run(bulk.import_chunk(collection, chunk))

    async def export_documents(self, collection: str) -> AsyncIterator[Document | Deleted]:
        """The whole collection. When all items are read, they are its state at one moment.

        A document that changes during the export is repeated at the end: the last item of an id counts.
        """
        async with open_stream(
            self._http,
            self._settings,
            requests.collection_path(collection),
            (("format", "ndjson"),),
            timeout=self._settings.timeouts(),
        ) as response:
            async for line in read_lines(response):
                yield bulk.exported_document(collection, line)

    # --- what was deleted

    async def deleted_collections(self) -> tuple[str, ...]:
        """The collections with deleted documents whose content the node keeps, by name."""
        found, cursor = await self._run(requests.list_deleted_collections())
        while cursor:
            page, cursor = await self._run(requests.list_deleted_collections(cursor))
            found += page
        return found

    async def deleted_page(
        self,
        collection: str,
        prefix: str = "",
        since: float = 0.0,
        limit: int | None = None,
        cursor: str = "",
    ) -> DeletedPage:
        """One page of `deleted`. It may be empty although `next_cursor` leads to others."""
        call = requests.list_deleted(collection, prefix, since, limit, cursor)
        return await self._run(call)

    async def deleted(
        self, collection: str, prefix: str = "", since: float = 0.0
    ) -> AsyncIterator[DeletedDocument]:
        """The deleted documents whose content the node keeps, without values. `since`: Unix seconds."""
        cursor = ""
        while True:
            page = await self.deleted_page(collection, prefix, since, None, cursor)
            for document in page.documents:
                yield document
            if not (cursor := page.next_cursor):
                return

    async def deleted_document(
        self, collection: str, id: str, incarnation: int = 0
    ) -> DeletedDocument:
        """What a deleted document held. `incarnation`: 0: the last one that is kept. Raises NotFound."""
        return await self._run(requests.get_deleted(collection, id, incarnation))

    async def undelete(
        self,
        collection: str,
        id: str,
        incarnation: int = 0,
        replicas: int = 0,
        timeout: float = 10.0,
    ) -> Written:
        """Brings a deleted document back on every node.

        Raises NotFound if the node keeps nothing of it, and Conflict if there is a document of this name.
        """
        conditions = Conditions(replicas=replicas, timeout=timeout)
        call = requests.undelete_document(collection, id, incarnation, conditions)
        return await self._run(call)

    # --- conflicts

    async def conflicts(self) -> tuple[LostDocument, ...]:
        """What lost when two states of a document contradicted each other, the newest first, without values."""
        return await self._run(requests.list_conflicts())

    async def conflict(self, id: str) -> LostDocument:
        return await self._run(requests.get_conflict(id))

    async def dismiss_conflict(self, id: str) -> None:
        await self._run(requests.dismiss_conflict(id))

    # --- quarantine

    async def quarantine(self) -> tuple[Quarantined, ...]:
        """Changes that leap, the newest first, and what broke the engine."""
        return await self._run(requests.list_quarantine())

    async def accept_quarantined(self, id: str) -> str:
        """Carries out a change that leaps, or lets the engine try again. Returns `applied`, or `known` or `stale` if
        the document has gone on meanwhile. Raises NotFound, and Conflict if the change cannot be carried out."""
        return await self._run(requests.accept_quarantined(id))

    async def drop_quarantined(self, id: str) -> None:
        """Drops a change that leaps. Raises NotFound, and Conflict for what broke the engine."""
        await self._run(requests.drop_quarantined(id))

    # --- the node

    async def node(self) -> Node:
        return await self._run(requests.get_node())

    async def peers(self) -> Peers:
        return await self._run(requests.get_peers())

    async def peer(self, id: str) -> Peer:
        return await self._run(requests.get_peer(id))

    async def forget_peer(self, id: str) -> None:
        """Makes the node, and all nodes that it reaches, forget an absent peer.

        Raises NotFound if the node does not know it, and Conflict if it is connected.
        """
        await self._run(requests.forget_peer(id))

    async def block_peer(self, id: str, reason: str = "") -> None:
        """Makes the node end its connections to a peer, known or not, and refuse it from now on.

        It holds on this node only. `reason` is for its operators. Raises InvalidRequest if it is the node itself.
        """
        await self._run(requests.block_peer(id, reason))

    async def unblock_peer(self, id: str) -> None:
        """Makes the node let a blocked peer in again. Raises NotFound if it is not blocked."""
        await self._run(requests.unblock_peer(id))

    async def allow_deletions(self, id: str) -> None:
        """Makes the node carry out the deletions of a peer again. Raises NotFound if they are not paused there."""
        await self._run(requests.allow_deletions(id))

    async def peer_log(self) -> tuple[PeerLogEntry, ...]:
        """The last events of peers, at most 50, the oldest first."""
        return await self._run(requests.get_peer_log())

    async def topology(self) -> Topology:
        return await self._run(requests.get_topology())

    async def readiness(self) -> Readiness:
        """Returns the checks also if the node is not ready."""
        return await self._run(requests.get_readiness())

    async def metrics(self) -> str:
        """The metrics in the text format of Prometheus."""
        return await self._run(requests.get_metrics())

    # --- the feed

    def events(
        self,
        since: int | None = None,
        transport: Transport = Transport.SSE,
        **filter: Unpack[FilterOptions],
    ) -> AsyncIterator[Event]:
        """The events from now on, or after change `since`. After a lost connection the client resumes.

        Raises ClientError if the first connection fails, later only ProblemAnswer. A `Gap` means that
        the node no longer keeps the changes in between.
        """
        return self.follow(EventFilter(**filter), since, transport)

    def follow(
        self, filter: EventFilter, since: int | None = None, transport: Transport = Transport.SSE
    ) -> AsyncIterator[Event]:
        """The same as `events`, with the filter as a value."""
        cursor = FeedCursor(filter, since, self._settings.retry, self._random)
        return follow(self._http, self._settings, cursor, transport)

    def watch(self, collection: str, prefix: str = "") -> AsyncIterator[Event]:
        """Each document as `CurrentDocument`, one `Current`, then its changes as `SyncEvent` with values."""
        filter = EventFilter(collection=collection, prefix=prefix, with_value=True)
        cursor = FeedCursor(filter, None, self._settings.retry, self._random)
        return watch(self._http, self._settings, cursor, collection)

    # --- sending requests

    async def _run(self, call: NodeRequest[T]) -> T:
        attempt = 1
        while True:
            response: NodeResponse | None = None
            try:
                response = await self._send(call)
                return call.read(raise_problem(response, call.accepted))
            except (Unreachable, UnknownOutcome, Unavailable) as error:
                pause = self._settings.retry.pause(
                    error, attempt, call.changes_nothing, retry_after(response), self._random
                )
                if pause is None:
                    raise
            attempt += 1
            await asyncio.sleep(pause)

    async def _send(self, call: NodeRequest[T]) -> NodeResponse:
        with translated_errors(self._settings.base):
            response = await self._http.request(
                call.method,
                call.path,
                params=call.params or None,
                headers=call.headers,
                content=call.content,
                timeout=self._settings.timeouts(call.extra_seconds),
            )
        return response_of(response)
