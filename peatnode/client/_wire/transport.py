"""How both clients use httpx and websockets: address, token, time limits, and translated errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx

from peatnode import __version__
from peatnode.client._wire.address import checked_url
from peatnode.client._wire.requests import PREFIX
from peatnode.client._wire.responses import NodeResponse, problem_of
from peatnode.client.errors import (
    BadArgument,
    Unavailable,
    UnexpectedAnswer,
    UnknownOutcome,
    Unreachable,
)
from peatnode.client.retry import RetryPolicy

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A longer message of a WebSocket cannot be an event: documents are smaller."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """The address of a node, its token, and the limits of requests to it."""

    url: str = "http://127.0.0.1:8081"
    token: str = field(default="", repr=False)
    timeout: float = 30.0
    """Seconds for one response."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        checked_url(self.url)

    @property
    def base(self) -> str:
        return checked_url(self.url)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"peatnode-client/{__version__}"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def websocket_url(self, path: str, params: tuple[tuple[str, str], ...]) -> str:
        try:
            query = f"?{urlencode(params)}" if params else ""
        except UnicodeEncodeError as error:
            raise not_unicode(error) from None
        return "ws" + self.base.removeprefix("http") + PREFIX + path + query

    def timeouts(self, extra_seconds: float = 0.0) -> httpx.Timeout:
        return httpx.Timeout(self.timeout + extra_seconds, connect=min(self.timeout, 10.0))

    def stream_timeouts(self) -> httpx.Timeout:
        """The limits of a feed: events may be rare, but the node sends at least a comment every 15 s."""
        return httpx.Timeout(self.timeout, read=max(self.timeout, 60.0))


def not_unicode(error: UnicodeEncodeError) -> BadArgument:
    return BadArgument(f"{error.object!r} is not valid Unicode")


@contextmanager
def translated_errors(url: str) -> Iterator[None]:
    """Translates the errors of httpx, and of parameters that are not Unicode, into ClientError."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise not_unicode(error) from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise Unreachable(f"no node answers at {url}: {error or 'timed out'}") from error
    except httpx.TimeoutException as error:
        raise UnknownOutcome(f"{url} did not answer in time") from error
    except httpx.TransportError as error:
        raise UnknownOutcome(f"the connection to {url} was lost: {error or 'closed'}") from error
    except (httpx.InvalidURL, httpx.DecodingError, httpx.TooManyRedirects) as error:
        raise UnexpectedAnswer(f"{url}: {error}") from error


def response_of(response: httpx.Response) -> NodeResponse:
    """The response as a value, after its body was read."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return NodeResponse(response.status_code, headers, response.content)


def raise_problem(response: NodeResponse, accepted: tuple[int, ...] = ()) -> NodeResponse:
    """Raises the ProblemAnswer in the response, unless its status is 2xx or one of `accepted`."""
    if 200 <= response.status < 300 or response.status in accepted:
        return response
    if 300 <= response.status < 400:
        raise UnexpectedAnswer(
            f"the response is a redirect ({response.status}): use the address that it leads to"
        )
    error = problem_of(response)
    if isinstance(error, Unavailable) and error.problem.code == "unknown-outcome":
        raise UnknownOutcome(error.problem.detail) from error
    raise error


def position_of(headers: Mapping[str, str]) -> int:
    """The sequence after which a stream of events begins (`Peat-Sequence`). Negative: no such header."""
    text = headers.get("peat-sequence", "")
    return int(text) if text.isdigit() else -1


def retry_after(response: NodeResponse | None) -> float | None:
    """Seconds to wait (`Retry-After`, RFC 9110, 10.2.3). None: no such header, or a date."""
    text = response.headers.get("retry-after", "") if response is not None else ""
    return float(text) if text.isdigit() else None
