"""One interface to the documents of a local or remote node, with the errors of `peatnode.client`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from peatnode.api.names import check_names
from peatnode.cli.documents.problem_errors import client_errors
from peatnode.cli.errors import cli_errors
from peatnode.cli.target import LocalNode, Target
from peatnode.client._wire.bulk import ImportChunk
from peatnode.client._wire.requests import Conditions, ListQuery
from peatnode.client.events import Event
from peatnode.client.models import (
    Collection,
    DeletedDocument,
    DeletedPage,
    Document,
    ImportedLine,
    Page,
    Written,
)
from peatnode.client.resume import EventFilter
from peatnode.ipc.messages import WriteKind

if TYPE_CHECKING:
    from peatnode.client._async.client import AsyncClient


T = TypeVar("T")


class Documents(Protocol):
    """The documents of a node. Methods raise ClientError."""

    async def get(self, collection: str, id: str) -> Document: ...

    async def write(
        self, kind: WriteKind, collection: str, id: str, body: bytes, conditions: Conditions
    ) -> Written: ...

    async def collections(self) -> tuple[Collection, ...]: ...

    async def page(self, collection: str, query: ListQuery, limit: int, cursor: str) -> Page:
        """One page of a list. The sockets support only a prefix; see `local_api` for other queries."""
        ...

    async def import_lines(
        self, collection: str, first_line: int, lines: Sequence[bytes]
    ) -> list[ImportedLine]:
        """Writes each line, a document with its `_id`. A blank line has no result."""
        ...

    def events(self, filter: EventFilter, since: int | None) -> AsyncIterator[Event]: ...

    async def deleted_collections(self) -> tuple[str, ...]:
        """The collections with deleted documents whose content the node keeps."""
        ...

    async def deleted_page(
        self, collection: str, prefix: str, since: float, cursor: str
    ) -> DeletedPage: ...

    async def deleted_document(
        self, collection: str, id: str, incarnation: int
    ) -> DeletedDocument: ...

    async def undelete(
        self, collection: str, id: str, incarnation: int, conditions: Conditions
    ) -> Written: ...


def refuse_bad_names(collection: str, id: str | None = None) -> None:
    """Refuses what the API refuses, before a node is asked. Raises CliError."""
    with cli_errors(), client_errors():
        check_names(collection, id)


class ApiDocuments:
    """Documents of a remote node, over HTTP. Names are checked here, as for a local node."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def get(self, collection: str, id: str) -> Document:
        with client_errors():
            check_names(collection, id)
        return await self._client.get(collection, id)

    async def write(
        self, kind: WriteKind, collection: str, id: str, body: bytes, conditions: Conditions
    ) -> Written:
        with client_errors():
            check_names(collection, id)
        return await self._client.write(str(kind), collection, id, body, conditions)

    async def collections(self) -> tuple[Collection, ...]:
        return await self._client.collections()

    async def page(self, collection: str, query: ListQuery, limit: int, cursor: str) -> Page:
        with client_errors():
            check_names(collection)
        return await self._client.page(
            collection,
            limit,
            cursor,
            where=query.where,
            sort=query.sort,
            fields=query.fields,
            prefix=query.prefix,
        )

    async def import_lines(
        self, collection: str, first_line: int, lines: Sequence[bytes]
    ) -> list[ImportedLine]:
        return list(
            await self._client.import_chunk(collection, ImportChunk(first_line, tuple(lines)))
        )

    def events(self, filter: EventFilter, since: int | None) -> AsyncIterator[Event]:
        return self._client.follow(filter, since)

    async def deleted_collections(self) -> tuple[str, ...]:
        return await self._client.deleted_collections()

    async def deleted_page(
        self, collection: str, prefix: str, since: float, cursor: str
    ) -> DeletedPage:
        with client_errors():
            check_names(collection)
        return await self._client.deleted_page(collection, prefix, since, None, cursor)

    async def deleted_document(self, collection: str, id: str, incarnation: int) -> DeletedDocument:
        with client_errors():
            check_names(collection, id)
        return await self._client.deleted_document(collection, id, incarnation)

    async def undelete(
        self, collection: str, id: str, incarnation: int, conditions: Conditions
    ) -> Written:
        with client_errors():
            check_names(collection, id)
        return await self._client.undelete(
            collection, id, incarnation, conditions.replicas, conditions.timeout
        )


@asynccontextmanager
async def open_documents(target: Target) -> AsyncIterator[Documents]:
    if isinstance(target, LocalNode):
        from peatnode.cli.documents.socket_source import SocketDocuments

        local = SocketDocuments(target.run_dir)
        try:
            yield local
        finally:
            await local.close()
        return
    from peatnode.client._async.client import AsyncClient

    async with AsyncClient(target.url, target.token) as client:
        yield ApiDocuments(client)


def run_on(target: Target, act: Callable[[Documents], Awaitable[T]]) -> T:
    """Runs `act` with the documents of the target in a new event loop. Raises CliError."""

    async def with_documents() -> T:
        async with open_documents(target) as documents:
            return await act(documents)

    with cli_errors(str(target)):
        return asyncio.run(with_documents())
