"""The routes of event streams: server-sent events, and the same events over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import falcon
from falcon.asgi import Request, Response, WebSocket

from peatnode.api.failures import HttpProblem
from peatnode.api.names import check_names
from workers.broker.feed.event_feed import EventFeed
from workers.broker.feed.events import TYPES, dropped_event
from workers.broker.feed.stream import FeedStream, open_stream
from workers.broker.feed.subscriber import ALL_TYPES, Disconnected, Selection
from workers.broker.http.requests import check_parameters, flag_parameter, text_parameter

EVENT_STREAM = "text/event-stream"

FEED_PARAMETERS = frozenset({"since", "collection", "doc_id", "prefix", "types", "value"})

TRY_AGAIN_LATER = 1013
"""Close code for a client that reads too slowly (IANA registry)."""

GOING_AWAY = 1001
"""Close code while the node stops (RFC 6455, 7.4.1)."""


def selection_of(request: Request) -> Selection:
    """The events that the parameters select. Raises HttpProblem."""
    check_parameters(request, FEED_PARAMETERS)
    collection = text_parameter(request, "collection")
    doc_id = text_parameter(request, "doc_id")
    if doc_id and not collection:
        raise HttpProblem(400, "bad-parameter", "doc_id requires collection.", "collection")
    if collection:
        check_names(collection, doc_id or None)
    prefix = text_parameter(request, "prefix")
    listed = text_parameter(request, "types")
    is_narrow = bool(collection or doc_id or prefix)
    types = frozenset(listed.split(",")) if listed else _default_types(is_narrow)
    if not types <= ALL_TYPES:
        raise HttpProblem(
            400, "bad-parameter", f"types must be some of {', '.join(TYPES)}.", "types"
        )
    return Selection(types, collection, doc_id, prefix, flag_parameter(request, "value"))


def _default_types(is_narrow: bool) -> frozenset[str]:
    """A request for certain documents selects no events of peers."""
    return frozenset({"SyncEvent"}) if is_narrow else ALL_TYPES


def since_of(request: Request) -> int:
    """The sequence after which to resume; negative: begin now. Raises HttpProblem."""
    text = request.get_header("last-event-id") or text_parameter(request, "since")
    if not text:
        return -1
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise HttpProblem(
            400, "bad-parameter", f"since must be a sequence number, not {text!r}.", "since"
        )
    return int(text)


class EventsResource:
    """GET /events"""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    async def on_get(self, request: Request, response: Response) -> None:
        selection = selection_of(request)
        since = since_of(request)
        response.content_type = EVENT_STREAM
        response.set_header("cache-control", "no-store")
        response.set_header("x-accel-buffering", "no")
        if request.method == "HEAD":
            return
        stream = await open_stream(self._feed, selection, since)
        response.set_header("peat-sequence", str(stream.position))
        response.stream = _server_sent(stream)

    on_head = on_get


async def _server_sent(stream: FeedStream) -> AsyncIterator[bytes]:
    if stream.position >= 0:
        yield b"id: %d\nretry: 1000\n\n" % stream.position
    batches = stream.batches()
    try:
        async for batch in batches:
            yield b"".join([event.as_sse() for event in batch]) or b":\n\n"
    except Disconnected as ending:
        yield dropped_event(str(ending), stream.position).as_sse()
    finally:
        await batches.aclose()  # type: ignore[attr-defined]


class WebSocketResource:
    """WS /ws"""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    async def on_get(self, request: Request, response: Response) -> None:
        raise HttpProblem(
            426,
            "upgrade-required",
            "This route is a WebSocket: connect with ws://.",
            headers=(("upgrade", "websocket"), ("connection", "upgrade")),
        )

    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        stream = await open_stream(self._feed, selection_of(request), since_of(request))
        try:
            await ws.accept(
                subprotocol=request.scope.get("peat.subprotocol"),
                headers={"peat-sequence": str(stream.position)},
            )
        except BaseException:
            stream.close()
            raise
        sender = asyncio.create_task(_send_events(stream, ws))
        try:
            with contextlib.suppress(falcon.WebSocketDisconnected):
                while True:  # messages of the client are ignored; its close ends the loop
                    await ws.receive_text()
        except falcon.PayloadTypeError:
            await ws.close(1003, "this WebSocket accepts no binary messages")
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)


async def _send_events(stream: FeedStream, ws: WebSocket) -> None:
    batches = stream.batches()
    try:
        async for batch in batches:
            for event in batch:
                await ws.send_text(event.body.decode())
    except Disconnected as ending:
        reason = str(ending)
        is_stopping = "stopping" in reason
        await ws.send_text(dropped_event(reason, stream.position).body.decode())
        await ws.close(GOING_AWAY if is_stopping else TRY_AGAIN_LATER, reason)
    except falcon.WebSocketDisconnected:
        return
    finally:
        await batches.aclose()  # type: ignore[attr-defined]
