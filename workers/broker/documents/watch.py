"""GET /documents/{collection}?watch=true: the documents of the collection, then their changes.

The response is NDJSON, or server-sent events for a client that accepts them. It has `Document` events, one
`Current`, then `SyncEvent` with values.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from falcon.asgi import Request, Response

from peatnode.api.encode_document import NDJSON
from workers.broker.documents.pages import CollectionReader
from workers.broker.feed.event_feed import EventFeed
from workers.broker.feed.events import Event, current_event, document_event, dropped_event
from workers.broker.feed.stream import open_stream
from workers.broker.feed.subscriber import Disconnected, Selection
from workers.broker.http.requests import text_parameter


class CollectionWatch:
    """Answers watches: first the documents of the collection, then its changes."""

    def __init__(self, reader: CollectionReader, feed: EventFeed) -> None:
        self._reader = reader
        self._feed = feed

    async def answer(self, request: Request, response: Response, collection: str) -> None:
        """Fills the response with the stream. Raises HttpProblem."""
        selection = Selection(
            frozenset({"SyncEvent"}), collection, "", text_parameter(request, "prefix"), True
        )
        as_sse = "text/event-stream" in (request.get_header("accept") or "")
        response.content_type = "text/event-stream" if as_sse else NDJSON
        response.set_header("cache-control", "no-store")
        if request.method != "HEAD":
            response.stream = _encode(self._batches(selection), as_sse)

    async def _batches(self, selection: Selection) -> AsyncIterator[list[Event]]:
        sequence = -1
        async for page in self._reader.pages(selection.collection, selection.prefix):
            sequence = page.sequence if sequence < 0 else sequence
            yield [
                document_event(page.collection, document.id, document.fingerprint, document.value)
                for document in page.documents
            ]
        yield [current_event(sequence)]
        stream = await open_stream(self._feed, selection, sequence)
        batches = stream.batches()
        try:
            async for batch in batches:
                yield batch
        except Disconnected as ending:
            yield [dropped_event(str(ending), stream.position)]
        finally:
            await batches.aclose()  # type: ignore[attr-defined]


async def _encode(batches: AsyncIterator[list[Event]], as_sse: bool) -> AsyncIterator[bytes]:
    async for batch in batches:
        if as_sse:
            yield b"".join([event.as_sse() for event in batch]) or b":\n\n"
        else:
            yield b"".join([event.as_line() for event in batch]) or b"\n"
