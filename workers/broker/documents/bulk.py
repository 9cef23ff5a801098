"""POST /documents/{collection}?bulk: a stream of NDJSON of any size, with one answer per line.

A line is a document with its id in `_id`, or `{"_id":…,"_deleted":true}`. A document without `_id` gets a
new id. Each line is an independent PUT or DELETE. The answers are in the order of the lines, and each is
sent when its line is on disk.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

import orjson
from falcon.asgi import Request, Response

from peatnode.api.bulk_lines import is_blank, line_answer, line_problem, parse_line
from peatnode.api.encode_document import NDJSON
from peatnode.api.failures import HttpProblem, out_of_memory
from peatnode.codec.lines import LineBuffer
from workers.broker.documents.writes import (
    WRITE_PARAMETERS,
    DocumentWriter,
    expiry,
    new_id,
    replicas_of,
)
from workers.broker.http.limits import BrokerLimits
from workers.broker.http.requests import check_coding, check_parameters, media_type

BULK_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl")


@dataclass(frozen=True, slots=True)
class LineWrites:
    """The part of a write that all lines of a request share."""

    collection: str
    expires_at: float
    wanted: int
    """Number of peers to wait for, for each line."""
    seconds: float
    """Time to wait for them."""


class BulkWrites:
    """Answers bulk requests: writes the lines of each concurrently, within `limits.bulk_writes`."""

    def __init__(self, writer: DocumentWriter, limits: BrokerLimits) -> None:
        self._writer = writer
        self._limits = limits

    async def answer(self, request: Request, response: Response, collection: str) -> None:
        """Fills the response with one answer per line, also for an invalid line.

        Raises HttpProblem if the request as a whole is invalid.
        """
        check_parameters(request, WRITE_PARAMETERS | {"bulk"})
        if media_type(request) not in BULK_TYPES:
            raise HttpProblem(
                415,
                "unsupported-media-type",
                f"The Content-Type of a bulk request must be {BULK_TYPES[0]}.",
                "Content-Type",
            )
        check_coding(request)
        expires_at = expiry(request)
        wanted, seconds = replicas_of(request, self._limits)
        writes = LineWrites(collection, expires_at, wanted, seconds)
        response.content_type = NDJSON
        response.stream = self._answers(request, writes)

    async def _answers(self, request: Request, writes: LineWrites) -> AsyncIterator[bytes]:
        pending = PendingAnswers(self._limits)
        lines = _lines(request, self._limits)
        number = 0
        try:
            while True:
                try:
                    line = await anext(lines, None)
                except HttpProblem as problem:
                    while pending:
                        yield await pending.take()
                    yield _line_error(number + 1, problem)
                    return
                if line is None:
                    break
                number += 1
                if len(line) <= self._limits.body_bytes and is_blank(line):
                    continue
                pending.add(self._write_line(writes, number, line), len(line))
                while pending.is_full or pending.has_answer:
                    yield await pending.take()
            while pending:
                yield await pending.take()
        finally:
            pending.cancel()

    async def _write_line(self, writes: LineWrites, number: int, line: bytes) -> bytes:
        try:
            if len(line) > self._limits.body_bytes:
                limit = self._limits.body_bytes
                raise HttpProblem(413, "too-large", f"A line is longer than {limit} bytes.")
            write = parse_line(writes.collection, line, writes.expires_at, new_id)
            written = await self._writer.write(write)
        except HttpProblem as problem:
            return _line_error(number, problem)
        except MemoryError:
            return _line_error(number, out_of_memory(may_have_written=True))
        replicas = None
        if writes.wanted:
            replicas = await self._writer.wait_replicas(written, writes.wanted, writes.seconds)
        return orjson.dumps(line_answer(number, written, replicas)) + b"\n"


class PendingAnswers:
    """The lines that are being written, and their answers in the order of the lines."""

    def __init__(self, limits: BrokerLimits) -> None:
        self._limits = limits
        self._tasks: deque[tuple[asyncio.Task[bytes], int]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def is_full(self) -> bool:
        """Whether an answer has to be taken before the next line is read."""
        is_heavy = self._bytes >= self._limits.bulk_bytes
        return is_heavy or len(self._tasks) >= self._limits.bulk_writes

    @property
    def has_answer(self) -> bool:
        return bool(self._tasks) and self._tasks[0][0].done()

    def add(self, write: Coroutine[Any, Any, bytes], size: int) -> None:
        """Starts to write a line of so many bytes."""
        self._tasks.append((asyncio.create_task(write), size))
        self._bytes += size

    async def take(self) -> bytes:
        """Waits for the answer to the oldest line. Returns it with the answers after it that are there."""
        answers = [await self._next()]
        while self.has_answer:
            answers.append(await self._next())
        return b"".join(answers)

    async def _next(self) -> bytes:
        task, size = self._tasks.popleft()
        self._bytes -= size
        return await task

    def cancel(self) -> None:
        for task, _ in self._tasks:
            task.cancel()


async def _lines(request: Request, limits: BrokerLimits) -> AsyncIterator[bytes]:
    """The lines of the body. Of a line that is too long, one byte beyond the limit is kept, which shows it.

    Raises HttpProblem when the client stops sending.
    """
    buffer = LineBuffer(limits.body_bytes)
    parts = aiter(request.stream)
    while True:
        try:
            async with asyncio.timeout(limits.body_seconds):
                part = await anext(parts, None)
        except TimeoutError:
            raise HttpProblem(
                408, "body-timeout", f"The client sent nothing for {limits.body_seconds:g} s."
            ) from None
        if part is None:
            break
        for line in buffer.receive(part):
            yield line
    if line := buffer.rest():
        yield line


def _line_error(number: int, problem: HttpProblem) -> bytes:
    return orjson.dumps(line_problem(number, problem)) + b"\n"
