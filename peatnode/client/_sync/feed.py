"""Following the feed, blocking: server-sent events or a WebSocket, resumed when they break."""

from __future__ import annotations

import time
from collections.abc import Iterator

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


def follow(
    http: httpx.Client, settings: Settings, following: Following, transport: Transport
) -> Iterator[Event]:
    while True:
        try:
            match transport:
                case Transport.SSE:
                    yield from _sent_events(http, settings, following)
                case Transport.WEBSOCKET:
                    yield from _websocket_events(settings, following)
        except (Unreachable, UnknownOutcome, Unavailable):
            if not following.has_opened:
                raise
            # The node restarts, or the network does: it resumes.
        time.sleep(following.pause_after_loss())


def watch(
    http: httpx.Client, settings: Settings, following: Following, collection: str
) -> Iterator[Event]:
    """What there is, then what changes. Broken before all was told, it begins anew."""
    while following.since is None:
        try:
            yield from _current_documents(http, settings, following, collection)
        except (Unreachable, UnknownOutcome, Unavailable):
            if not following.has_opened:
                raise
        time.sleep(following.pause_after_loss())
    yield from follow(http, settings, following, Transport.SSE)


def _current_documents(
    http: httpx.Client, settings: Settings, following: Following, collection: str
) -> Iterator[Event]:
    with (
        translated(settings.base),
        http.stream(
            "GET",
            document_path(collection),
            params=(("watch", "true"), ("prefix", following.filter.prefix)),
            timeout=settings.stream_timeouts(),
        ) as response,
    ):
        if response.status_code != 200:
            response.read()
            check(answer_of(response))
        following.has_opened = True
        for line in response.iter_lines():
            if line:
                yield from following.take(event_of(decode_line(line)))


def _sent_events(http: httpx.Client, settings: Settings, following: Following) -> Iterator[Event]:
    with (
        translated(settings.base),
        http.stream(
            "GET",
            f"{PREFIX}/events",
            params=following.params() or None,
            headers={"Accept": "text/event-stream"},
            timeout=settings.stream_timeouts(),
        ) as response,
    ):
        if response.status_code != 200:
            response.read()
            check(answer_of(response))
            raise UnexpectedAnswer(f"the feed answered {response.status_code}")
        following.opened_at(position_of(response.headers))
        stream = EventStream()
        for chunk in response.iter_bytes():
            for sent in stream.receive_data(chunk):
                yield from following.take(event_of(decode_line(sent.data)))


def _websocket_events(settings: Settings, following: Following) -> Iterator[Event]:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
    from websockets.sync.client import connect

    url = settings.websocket_url("/ws", following.params())
    try:
        with connect(
            url,
            additional_headers=settings.headers,
            open_timeout=settings.timeout,
            max_size=MAX_EVENT_BYTES,
        ) as socket:
            if socket.response is not None:
                following.opened_at(position_of(socket.response.headers))
            for message in socket:
                yield from following.take(event_of(decode_line(message)))
    except InvalidStatus as error:
        response = error.response
        check(Answer(response.status_code, {}, bytes(response.body or b"")))
        raise UnexpectedAnswer(f"the feed answered {response.status_code}") from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise Unreachable(f"nobody answers at {settings.base}: {error}") from error
    except ConnectionClosed as error:
        raise UnknownOutcome(f"the connection to {settings.base} was lost: {error}") from error
