"""Following the feed on asyncio: server-sent events or a WebSocket, resumed when they break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from peatnode.client._wire.bulk import decode_line
from peatnode.client._wire.requests import PREFIX, document_path
from peatnode.client._wire.responses import Answer
from peatnode.client._wire.sse import EventStream
from peatnode.client._wire.transport import (
    MAX_EVENT_BYTES,
    Settings,
    answer_of,
    check,
    position_of,
    translated,
)
from peatnode.client.errors import Unavailable, UnexpectedAnswer, UnknownOutcome, Unreachable
from peatnode.client.events import Event, event_of
from peatnode.client.resume import Following, Transport


async def follow(
    http: httpx.AsyncClient, settings: Settings, following: Following, transport: Transport
) -> AsyncIterator[Event]:
    while True:
        try:
            match transport:
                case Transport.SSE:
                    async for event in _sent_events(http, settings, following):
                        yield event
                case Transport.WEBSOCKET:
                    async for event in _websocket_events(settings, following):
                        yield event
        except (Unreachable, UnknownOutcome, Unavailable):
            if not following.has_opened:
                raise
            # The node restarts, or the network does: it resumes.
        await asyncio.sleep(following.pause_after_loss())


async def watch(
    http: httpx.AsyncClient, settings: Settings, following: Following, collection: str
) -> AsyncIterator[Event]:
    """What there is, then what changes. Broken before all was told, it begins anew."""
    while following.since is None:
        try:
            async for event in _current_documents(http, settings, following, collection):
                yield event
        except (Unreachable, UnknownOutcome, Unavailable):
            if not following.has_opened:
                raise
        await asyncio.sleep(following.pause_after_loss())
    async for event in follow(http, settings, following, Transport.SSE):
        yield event


async def _current_documents(
    http: httpx.AsyncClient, settings: Settings, following: Following, collection: str
) -> AsyncIterator[Event]:
    with translated(settings.base):
        async with http.stream(
            "GET",
            document_path(collection),
            params=(("watch", "true"), ("prefix", following.filter.prefix)),
            timeout=settings.stream_timeouts(),
        ) as response:
            if response.status_code != 200:
                await response.aread()
                check(answer_of(response))
            following.has_opened = True
            async for line in response.aiter_lines():
                if line:
                    for event in following.take(event_of(decode_line(line))):
                        yield event


async def _sent_events(
    http: httpx.AsyncClient, settings: Settings, following: Following
) -> AsyncIterator[Event]:
    with translated(settings.base):
        async with http.stream(
            "GET",
            f"{PREFIX}/events",
            params=following.params() or None,
            headers={"Accept": "text/event-stream"},
            timeout=settings.stream_timeouts(),
        ) as response:
            if response.status_code != 200:
                await response.aread()
                check(answer_of(response))
                raise UnexpectedAnswer(f"the feed answered {response.status_code}")
            following.opened_at(position_of(response.headers))
            stream = EventStream()
            async for chunk in response.aiter_bytes():
                for sent in stream.receive_data(chunk):
                    for event in following.take(event_of(decode_line(sent.data))):
                        yield event


async def _websocket_events(settings: Settings, following: Following) -> AsyncIterator[Event]:
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    url = settings.websocket_url("/ws", following.params())
    try:
        async with connect(
            url,
            additional_headers=settings.headers,
            open_timeout=settings.timeout,
            max_size=MAX_EVENT_BYTES,
        ) as socket:
            if socket.response is not None:
                following.opened_at(position_of(socket.response.headers))
            async for message in socket:
                for event in following.take(event_of(decode_line(message))):
                    yield event
    except InvalidStatus as error:
        response = error.response
        check(Answer(response.status_code, {}, bytes(response.body or b"")))
        raise UnexpectedAnswer(f"the feed answered {response.status_code}") from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Unreachable(f"nobody answers at {settings.base}: {error}") from error
    except ConnectionClosed as error:
        raise UnknownOutcome(f"the connection to {settings.base} was lost: {error}") from error
