"""Following the feed, blocking: server-sent events or a WebSocket, resumed when they break."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx

from peatnode.client.bulk import decode_line
from peatnode.client.calls import PREFIX
from peatnode.client.errors import Unavailable, UnexpectedAnswer, UnknownOutcome, Unreachable
from peatnode.client.events import Event, event_of
from peatnode.client.following import Following, Transport
from peatnode.client.reading import Answer
from peatnode.client.sse import EventStream
from peatnode.client.transport import MAX_EVENT_BYTES, Settings, answer_of, check, translated


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
            pass  # the node restarts, or the network does: it resumes below
        time.sleep(following.pause_after_loss())


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
