"""GET /documents/{collection}?watch=true: the documents that there are, then what changes.

NDJSON, or server-sent events for whoever accepts those: `Document` lines, one `Current`, then `SyncEvent` with values.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from falcon.asgi import Request, Response

from peatnode.api.encode_document import NDJSON
from peatnode.ipc.messages import ListDocuments
from workers.broker.feed.events import Event, current_event, document_event, dropped_event
from workers.broker.feed.stream import open_stream
from workers.broker.feed.subscriber import Disconnected, Selection
from workers.broker.http.requests import text_parameter
from workers.broker.services import BrokerServices


async def answer_watch(
    broker: BrokerServices, request: Request, response: Response, collection: str
) -> None:
    """Raises HttpProblem."""
    selection = Selection(
        frozenset({"SyncEvent"}), collection, "", text_parameter(request, "prefix"), True
    )
    as_sse = "text/event-stream" in (request.get_header("accept") or "")
    response.content_type = "text/event-stream" if as_sse else NDJSON
    response.set_header("cache-control", "no-store")
    if request.method != "HEAD":
        response.stream = _encode(_watched(broker, selection), as_sse)


async def _encode(batches: AsyncIterator[list[Event]], as_sse: bool) -> AsyncIterator[bytes]:
    async for batch in batches:
        if as_sse:
            yield b"".join([event.as_sse() for event in batch]) or b":\n\n"
        else:
            yield b"".join([event.as_line() for event in batch]) or b"\n"


async def _watched(broker: BrokerServices, selection: Selection) -> AsyncIterator[list[Event]]:
    sequence = -1
    after = ""
    while True:
        page = await broker.store.ask_retrying(
            ListDocuments(
                selection.collection,
                after,
                broker.limits.page_documents,
                broker.limits.page_bytes,
                selection.prefix,
            )
        )
        sequence = page.sequence if sequence < 0 else sequence
        yield [
            document_event(page.collection, one.id, one.fingerprint, one.value)
            for one in page.documents
        ]
        after = page.next_after
        if not after:
            break
    yield [current_event(sequence)]
    stream = await open_stream(broker, selection, sequence)
    batches = stream.batches()
    try:
        async for batch in batches:
            yield batch
    except Disconnected as ending:
        yield [dropped_event(str(ending), stream.position)]
    finally:
        await batches.aclose()  # type: ignore[attr-defined]
