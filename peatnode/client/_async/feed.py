"""Follows the feed over server-sent events or a WebSocket, and resumes after a lost connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from peatnode.client._async.streams import open_stream, read_lines
from peatnode.client._wire.bulk import decode_line
from peatnode.client._wire.requests import PREFIX, collection_path
from peatnode.client._wire.responses import NodeResponse
from peatnode.client._wire.sse import SseDecoder
from peatnode.client._wire.transport import (
    MAX_EVENT_BYTES,
    ConnectionSettings,
    position_of,
    raise_problem,
)
from peatnode.client.errors import Unavailable, UnexpectedAnswer, UnknownOutcome, Unreachable
from peatnode.client.events import Event, event_of
from peatnode.client.resume import FeedCursor, Transport


async def follow(
    http: httpx.AsyncClient,
    settings: ConnectionSettings,
    cursor: FeedCursor,
    transport: Transport,
) -> AsyncIterator[Event]:
    """The events after the cursor, without end. Raises ClientError if the first connection fails."""
    while True:
        try:
            match transport:
                case Transport.SSE:
                    async for event in _sent_events(http, settings, cursor):
                        yield event
                case Transport.WEBSOCKET:
                    async for event in _websocket_events(settings, cursor):
                        yield event
        except (Unreachable, UnknownOutcome, Unavailable):
            if not cursor.has_opened:
                raise
            # the node restarts or the network is down: resume
        await asyncio.sleep(cursor.pause_after_loss())


async def watch(
    http: httpx.AsyncClient, settings: ConnectionSettings, cursor: FeedCursor, collection: str
) -> AsyncIterator[Event]:
    """The existing documents, then their changes. A connection lost before `Current` starts over."""
    while cursor.since is None:
        try:
            async for event in _current_documents(http, settings, cursor, collection):
                yield event
        except (Unreachable, UnknownOutcome, Unavailable):
            if not cursor.has_opened:
                raise
        await asyncio.sleep(cursor.pause_after_loss())
    async for event in follow(http, settings, cursor, Transport.SSE):
        yield event


async def _current_documents(
    http: httpx.AsyncClient, settings: ConnectionSettings, cursor: FeedCursor, collection: str
) -> AsyncIterator[Event]:
    params = (("watch", "true"), ("prefix", cursor.filter.prefix))
    async with open_stream(http, settings, collection_path(collection), params) as response:
        cursor.has_opened = True
        async for line in read_lines(response):
            for event in cursor.take(event_of(decode_line(line))):
                yield event


async def _sent_events(
    http: httpx.AsyncClient, settings: ConnectionSettings, cursor: FeedCursor
) -> AsyncIterator[Event]:
    headers = (("Accept", "text/event-stream"),)
    async with open_stream(
        http, settings, f"{PREFIX}/events", cursor.params(), headers
    ) as response:
        cursor.opened_at(position_of(response.headers))
        decoder = SseDecoder()
        async for chunk in response.aiter_bytes():
            for sent in decoder.receive_data(chunk):
                for event in cursor.take(event_of(decode_line(sent.data))):
                    yield event


async def _websocket_events(
    settings: ConnectionSettings, cursor: FeedCursor
) -> AsyncIterator[Event]:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    url = settings.websocket_url("/ws", cursor.params())
    try:
        async with connect(
            url,
            additional_headers=settings.headers,
            open_timeout=settings.timeout,
            max_size=MAX_EVENT_BYTES,
        ) as socket:
            if socket.response is not None:
                cursor.opened_at(position_of(socket.response.headers))
            async for message in socket:
                for event in cursor.take(event_of(decode_line(message))):
                    yield event
    except InvalidStatus as error:
        response = error.response
        raise_problem(NodeResponse(response.status_code, {}, bytes(response.body or b"")))
        raise UnexpectedAnswer(
            f"the response of the feed has status {response.status_code}"
        ) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Unreachable(f"no node answers at {settings.base}: {error}") from error
    except ConnectionClosed as error:
        raise UnknownOutcome(f"the connection to {settings.base} was lost: {error}") from error
