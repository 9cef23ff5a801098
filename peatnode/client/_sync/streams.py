# Generated from peatnode/client/_async/streams.py by .ci/unasync.py: edit that file, then run `make client`.
"""Opens responses that are read while they arrive: exports, watches and server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from peatnode.client._wire.lines import LineDecoder
from peatnode.client._wire.transport import (
    ConnectionSettings,
    raise_problem,
    response_of,
    translated_errors,
)
from peatnode.client.errors import UnexpectedAnswer


@contextmanager
def open_stream(
    http: httpx.Client,
    settings: ConnectionSettings,
    path: str,
    params: tuple[tuple[str, str], ...] = (),
    headers: tuple[tuple[str, str], ...] = (),
    timeout: httpx.Timeout | None = None,
) -> Iterator[httpx.Response]:
    """Sends a GET. Raises ClientError if the status is not 200.

    `timeout`: by default that of feeds, which may be silent for longer.
    """
    with translated_errors(settings.base):
        with http.stream(
            "GET",
            path,
            params=params or None,
            headers=headers,
            timeout=timeout or settings.stream_timeouts(),
        ) as response:
            if response.status_code != 200:
                response.read()
                raise_problem(response_of(response))
                raise UnexpectedAnswer(
                    f"the response of {path} has status {response.status_code}, not 200"
                )
            yield response


def read_lines(response: httpx.Response) -> Iterator[bytes]:
    """The lines of the response that are not empty. httpx would also split at separators inside of JSON texts."""
    decoder = LineDecoder()
    for chunk in response.iter_bytes():
        for line in decoder.receive_data(chunk):
            if line:
                yield line
    if line := decoder.rest():
        yield line
