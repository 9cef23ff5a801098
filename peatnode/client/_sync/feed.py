# Generated from peatnode/client/_async/feed.py by .ci/unasync.py: edit that file, then run `make client`.
"""Follows the feed over server-sent events or a WebSocket, and resumes after a lost connection."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from peatnode.client._sync.streams import open_stream, read_lines
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


def follow(
    http: httpx.Client,
    settings: ConnectionSettings,
    cursor: FeedCursor,
    transport: Transport,
) -> Iterator[Event]:
    """The events after the cursor, without end. Raises ClientError if the first connection fails."""
    while True:
        try:
            match transport:
                case Transport.SSE:
                    yield from _sent_events(http, settings, cursor)
                case Transport.WEBSOCKET:
                    yield from _websocket_events(settings, cursor)
        except (Unreachable, UnknownOutcome, Unavailable):
            if not cursor.has_opened:
                raise
            # the node restarts or the network is down: resume
        time.sleep(cursor.pause_after_loss())


def watch(
    http: httpx.Client, settings: ConnectionSettings, cursor: FeedCursor, collection: str
) -> Iterator[Event]:
    """The existing documents, then their changes. A connection lost before `Current` starts over."""
    while cursor.since is None:
        try:
            yield from _current_documents(http, settings, cursor, collection)
        except (Unreachable, UnknownOutcome, Unavailable):
            if not cursor.has_opened:
                raise
        time.sleep(cursor.pause_after_loss())
    yield from follow(http, settings, cursor, Transport.SSE)


def _current_documents(
    http: httpx.Client, settings: ConnectionSettings, cursor: FeedCursor, collection: str
) -> Iterator[Event]:
    params = (("watch", "true"), ("prefix", cursor.filter.prefix))
    with open_stream(http, settings, collection_path(collection), params) as response:
        cursor.has_opened = True
        for line in read_lines(response):
            yield from cursor.take(event_of(decode_line(line)))


def _sent_events(
    http: httpx.Client, settings: ConnectionSettings, cursor: FeedCursor
) -> Iterator[Event]:
    headers = (("Accept", "text/event-stream"),)
    with open_stream(http, settings, f"{PREFIX}/events", cursor.params(), headers) as response:
        cursor.opened_at(position_of(response.headers))
        decoder = SseDecoder()
        for chunk in response.iter_bytes():
            for sent in decoder.receive_data(chunk):
                yield from cursor.take(event_of(decode_line(sent.data)))


def _websocket_events(settings: ConnectionSettings, cursor: FeedCursor) -> Iterator[Event]:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
    from websockets.sync.client import connect

    url = settings.websocket_url("/ws", cursor.params())
    try:
        with connect(
            url,
            additional_headers=settings.headers,
            open_timeout=settings.timeout,
            max_size=MAX_EVENT_BYTES,
        ) as socket:
            if socket.response is not None:
                cursor.opened_at(position_of(socket.response.headers))
            for message in socket:
                yield from cursor.take(event_of(decode_line(message)))
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
