"""POST /documents/{collection}?bulk: NDJSON of any size as a stream, an answer for each line.

A line is a document with its name in `_id` (without one it gets a new name) or `{"_id":…,"_deleted":true}`.
Each is a PUT, or a deletion, by itself. Answers come in the order of lines, after the line is on disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import orjson
from falcon.asgi import Request, Response

from peatnode.api.bulk_lines import line_answer, line_problem, parse_line
from peatnode.api.encode_document import NDJSON
from peatnode.api.failures import HttpProblem
from workers.broker.documents.writes import (
    WRITE_PARAMETERS,
    expiry,
    new_id,
    replicas_of,
    wait_replicas,
)
from workers.broker.http.limits import BrokerLimits
from workers.broker.http.requests import check_coding, check_parameters, media_type
from workers.broker.services import BrokerServices

BULK_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")


async def answer_bulk(
    broker: BrokerServices, request: Request, response: Response, collection: str
) -> None:
    """Raises HttpProblem for the request as a whole; a bad line is only that line's error."""
    check_parameters(request, WRITE_PARAMETERS | {"bulk"})
    if media_type(request) not in BULK_TYPES:
        raise HttpProblem(
            415,
            "unsupported-media-type",
            f"A bulk request is {BULK_TYPES[0]}: say so in Content-Type.",
            "Content-Type",
        )
    check_coding(request)
    expires_at = expiry(request)
    wanted, seconds = replicas_of(request, broker.limits)
    response.content_type = NDJSON
    response.stream = _answers(broker, request, collection, expires_at, wanted, seconds)


async def _answers(
    broker: BrokerServices,
    request: Request,
    collection: str,
    expires_at: float,
    wanted: int,
    seconds: float,
) -> AsyncIterator[bytes]:
    pending: deque[asyncio.Task[bytes]] = deque()
    lines = _lines(request, broker.limits)
    number = 0
    try:
        while True:
            try:
                line = await anext(lines, None)
            except HttpProblem as problem:
                async for answer in _drain(pending):
                    yield answer
                yield _line_error(number + 1, problem)
                return
            if line is None:
                break
            number += 1
            if len(line) <= broker.limits.body_bytes and not line.strip():
                continue
            write = _write_line(broker, collection, number, line, expires_at, wanted, seconds)
            pending.append(asyncio.create_task(write))
            if len(pending) >= broker.limits.bulk_writes or pending[0].done():
                yield b"".join([await pending.popleft(), *_done(pending)])
        async for answer in _drain(pending):
            yield answer
    finally:
        for task in pending:
            task.cancel()


def _done(pending: deque[asyncio.Task[bytes]]) -> list[bytes]:
    answers = []
    while pending and pending[0].done():
        answers.append(pending.popleft().result())
    return answers


async def _drain(pending: deque[asyncio.Task[bytes]]) -> AsyncIterator[bytes]:
    while pending:
        yield b"".join([await pending.popleft(), *_done(pending)])


async def _lines(request: Request, limits: BrokerLimits) -> AsyncIterator[bytes]:
    """What is beyond a line's limit is let go, but for the one byte that shows it. Raises HttpProblem where the client
    stops sending."""
    rest = b""
    parts = aiter(request.stream)
    while True:
        try:
            async with asyncio.timeout(limits.body_seconds):
                part = await anext(parts, None)
        except TimeoutError:
            raise HttpProblem(408, "body-timeout", "Nothing more was sent.") from None
        if part is None:
            break
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield line
        rest = rest[: limits.body_bytes + 1]
    if rest:
        yield rest


async def _write_line(
    broker: BrokerServices,
    collection: str,
    number: int,
    line: bytes,
    expires_at: float,
    wanted: int,
    seconds: float,
) -> bytes:
    try:
        if len(line) > broker.limits.body_bytes:
            limit = broker.limits.body_bytes
            raise HttpProblem(413, "too-large", f"A line is longer than {limit} bytes.")
        write = parse_line(collection, line, expires_at, new_id)
        written = await broker.store.write(write)
    except HttpProblem as problem:
        return _line_error(number, problem)
    replicas = None
    if wanted:
        replicas = await wait_replicas(broker, written, wanted, seconds)
    return orjson.dumps(line_answer(number, written, replicas)) + b"\n"


def _line_error(number: int, problem: HttpProblem) -> bytes:
    return orjson.dumps(line_problem(number, problem)) + b"\n"
