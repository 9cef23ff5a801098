"""Reads bodies, conditions and parameters of requests. The functions raise HttpProblem."""

from __future__ import annotations

import asyncio
import math

from falcon.asgi import Request

from peatnode.api.failures import HttpProblem
from peatnode.api.writes import (
    bad_integer,
    bad_seconds,
    fingerprints_of_if_match,
    fingerprints_of_if_none_match,
)
from workers.broker.http.limits import BrokerLimits


def media_type(request: Request) -> str:
    """The Content-Type in lower case, without parameters. Empty: the request has none."""
    return (request.content_type or "").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


async def read_body(request: Request, limits: BrokerLimits) -> bytes:
    """The whole body, within its limits of size and time."""
    check_coding(request)
    length = request.content_length
    if length is None and request.get_header("transfer-encoding") is None:
        raise HttpProblem(
            411, "length-required", "A body requires Content-Length, or Transfer-Encoding: chunked."
        )
    if length is not None and length > limits.body_bytes:
        raise too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read_within(request, limits)
    except TimeoutError:
        raise HttpProblem(
            408,
            "body-timeout",
            f"The body did not arrive within {limits.body_seconds:g} s.",
            headers=(("connection", "close"),),
        ) from None


def check_coding(request: Request) -> None:
    """Refuses compressed bodies."""
    coding = request.get_header("content-encoding") or "identity"
    if coding.strip().lower() != "identity":
        raise HttpProblem(
            415,
            "unsupported-media-type",
            f"The body has the content coding {coding!r}. Send it without one.",
            "Content-Encoding",
            headers=(("accept-encoding", "identity"),),
        )


async def _read_within(request: Request, limits: BrokerLimits) -> bytes:
    parts = []
    size = 0
    async for part in request.stream:
        size += len(part)
        if size > limits.body_bytes:
            raise too_large(limits)
        parts.append(part)
    body = parts[0] if len(parts) == 1 else b"".join(parts)
    if request.content_length is not None and size < request.content_length:
        raise HttpProblem(400, "body-incomplete", "The body is shorter than its Content-Length.")
    return body


def too_large(limits: BrokerLimits) -> HttpProblem:
    return HttpProblem(413, "too-large", f"The body is larger than {limits.body_bytes} bytes.")


def if_match(request: Request) -> tuple[bytes, ...]:
    return fingerprints_of_if_match(request.get_header("if-match"))


def if_none_match(request: Request) -> tuple[bytes, ...]:
    return fingerprints_of_if_none_match(request.get_header("if-none-match"))


def check_parameters(request: Request, known: frozenset[str]) -> None:
    """Refuses unknown parameters."""
    for name in request.params:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise HttpProblem(
                400,
                "bad-parameter",
                f"This route has no parameter {name!r}. Its parameters are: {names}.",
                name,
            )


def text_parameter(request: Request, name: str, default: str = "") -> str:
    value = request.params.get(name, default)
    if isinstance(value, list):
        raise HttpProblem(
            400, "bad-parameter", f"The parameter {name} is given more than once.", name
        )
    return value


def text_parameters(request: Request, name: str) -> list[str]:
    value = request.params.get(name, [])
    return value if isinstance(value, list) else [value]


def integer_parameter(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = text_parameter(request, name)
    if not text and name not in request.params:
        return default
    try:
        number = int(text) if text.isascii() and "_" not in text and len(text) < 20 else None
    except ValueError:
        number = None
    if number is None or not low <= number <= high:
        raise bad_integer(name, low, high, text)
    return number


def seconds_parameter(request: Request, name: str, default: float, high: float) -> float:
    text = text_parameter(request, name)
    if not text and name not in request.params:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= high or "_" in text:
        raise bad_seconds(name, high, text)
    return number


def flag_parameter(request: Request, name: str) -> bool:
    """True for `?name` and `?name=true`; false if it is missing."""
    if name not in request.params:
        return False
    text = text_parameter(request, name)
    if text in ("", "true"):
        return True
    if text == "false":
        return False
    raise HttpProblem(400, "bad-parameter", f"{name} must be true or false, not {text!r}.", name)
