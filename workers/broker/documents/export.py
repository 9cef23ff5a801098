"""GET /documents/{collection}?format=ndjson: a whole collection, one document per line.

Writes continue while the pages are read. So the documents that changed meanwhile follow after the pages. The
last line of an id counts, and `{"_id":…,"_deleted":true}` is a deletion. The complete stream is the state of
the collection at one moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import NoReturn

import orjson
from falcon.asgi import Request, Response

from peatnode.api.encode_document import NDJSON, listed_line, with_id
from peatnode.errors import LinkError
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.messages import Change, ChangesSeen, FeedGap, FollowChanges
from peatnode.model.feed import FeedRestarted
from peatnode.model.states import ChangeAction
from workers.broker.documents.pages import CollectionReader
from workers.broker.http.requests import text_parameter
from workers.broker.worker_client import WorkerClient

BATCH_BYTES = 64 * 1024


class ExportBroken(Exception):
    """The stream cannot be completed. It closes the connection, so that the client notices."""


class CollectionExport:
    """Answers exports."""

    def __init__(self, store: WorkerClient, reader: CollectionReader) -> None:
        self._store = store
        self._reader = reader

    async def answer(self, request: Request, response: Response, collection: str) -> None:
        prefix = text_parameter(request, "prefix")
        response.content_type = NDJSON
        if request.method != "HEAD":
            response.stream = _joined(self._lines(collection, prefix))

    async def _lines(self, collection: str, prefix: str) -> AsyncIterator[bytes]:
        first = -1
        last = -1
        async for page in self._reader.pages(collection, prefix):
            first = page.sequence if first < 0 else first
            last = page.sequence
            for document in page.documents:
                yield listed_line(document)
        if last < first:
            raise ExportBroken("the store was replaced while its documents were read")
        if last > first:
            async for line in self._changed_lines(collection, prefix, first, last):
                yield line

    async def _changed_lines(
        self, collection: str, prefix: str, since: int, upto: int
    ) -> AsyncIterator[bytes]:
        follow = FollowChanges(since=since, collection=collection, prefix=prefix, with_value=True)
        follower = ChangeFollower(self._store, follow)
        try:
            async with contextlib.aclosing(follower.events(_break)) as events:
                async for event in events:
                    match event:
                        case FeedGap() | FeedRestarted():
                            raise ExportBroken(
                                "the feed no longer keeps the changes since the export began"
                            )
                        case ChangesSeen():
                            for change in event.changes:
                                yield _changed_line(change)
                            if event.upto >= upto:
                                return
        except LinkError as error:
            raise ExportBroken(str(error)) from error


def _break(error: LinkError) -> NoReturn:
    raise ExportBroken(str(error)) from error


def _changed_line(change: Change) -> bytes:
    if change.action is ChangeAction.DELETED:
        return orjson.dumps({"_id": change.id, "_deleted": True}) + b"\n"
    return with_id(change.id, change.value) + b"\n"


async def _joined(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Joins lines to parts of at least `BATCH_BYTES`."""
    parts: list[bytes] = []
    size = 0
    async for line in lines:
        parts.append(line)
        size += len(line)
        if size >= BATCH_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)
