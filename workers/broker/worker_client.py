"""Links to the other workers, and what happens to a request when such a worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

from peatnode.api.failures import (
    OUT_OF_MEMORY,
    HttpProblem,
    from_failure,
    unavailable,
    unknown_outcome,
)
from peatnode.api.writes import is_repeatable
from peatnode.errors import AskFailed, AskTimedOut, LinkLost
from peatnode.ipc.link import Dialer, Link
from peatnode.ipc.messages import (
    Ask,
    Failure,
    Follow,
    Message,
    UndeleteDocument,
    WriteDocument,
    WriteKind,
    WrittenReply,
)

ReplyT = TypeVar("ReplyT", bound=Message)

PAUSE_SECONDS = 0.05
"""Pause before a worker that answered `unavailable` is asked again."""


class WorkerClient:
    """The link to another worker. It connects on demand, and again after a restart of the worker."""

    def __init__(self, run_dir: Path, name: str, ask_seconds: float) -> None:
        self.name = name
        self._dialer = Dialer(run_dir / f"{name}.sock", "broker")
        self._ask_seconds = ask_seconds

    async def ask_retrying(self, message: Ask[ReplyT]) -> ReplyT:
        """Asks until the worker answers, also across its restart, for at most `ask_seconds`.

        Use it for requests that are safe to repeat. Raises HttpProblem.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ask_seconds
        while True:
            try:
                return await self._dialer.ask(message, max(0.01, deadline - loop.time()))
            except (LinkLost, AskTimedOut, AskFailed) as error:
                problem = self._refusal(error)
            is_hopeless = problem.status != 503 or problem.code == OUT_OF_MEMORY
            if loop.time() >= deadline or is_hopeless:
                raise problem
            await asyncio.sleep(PAUSE_SECONDS)

    async def ask_once(self, message: Ask[ReplyT], seconds: float) -> ReplyT:
        """Asks without repetition. Raises LinkError."""
        return await self._dialer.ask(message, seconds)

    async def send(self, message: Message) -> None:
        """Sends a message without an answer, as soon as the worker is connected."""
        await self._dialer.send(message)

    async def wait_open(self) -> Link:
        """Waits for an open link; `ChangeFollower` uses it."""
        return await self._dialer.wait_open()

    def follow(self, message: Follow[ReplyT]) -> AsyncIterator[ReplyT]:
        return self._dialer.follow(message)

    async def close(self) -> None:
        await self._dialer.close()

    def _refusal(self, error: LinkLost | AskTimedOut | AskFailed) -> HttpProblem:
        if isinstance(error, AskFailed):
            return from_failure(error)
        return unavailable(f"The {self.name} worker does not answer; try again.")


class StoreClient(WorkerClient):
    """The link to the store, with writes."""

    def __init__(self, run_dir: Path, ask_seconds: float, write_seconds: float = 30.0) -> None:
        super().__init__(run_dir, "store", ask_seconds)
        self._write_seconds = write_seconds

    async def write(self, message: WriteDocument | UndeleteDocument) -> WrittenReply:
        """Sends a write; returns when it is on disk. If the link is lost, an idempotent write is repeated.

        Raises HttpProblem.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ask_seconds
        was_sent = False
        while True:
            await self._wait_open(deadline, was_sent)
            try:
                return await self._dialer.ask(message, self._write_seconds)
            except AskTimedOut:
                raise unknown_outcome() from None
            except LinkLost:
                was_sent = True
                if not is_repeatable(message) or loop.time() > deadline:
                    raise unknown_outcome() from None
            except AskFailed as error:
                if was_sent and _is_deletion(message) and _is_missing(error):
                    return _deleted_before(message)
                if error.code not in (Failure.UNAVAILABLE, Failure.BUSY) or loop.time() > deadline:
                    raise from_failure(error) from None
                await asyncio.sleep(PAUSE_SECONDS)

    async def _wait_open(self, deadline: float, was_sent: bool) -> None:
        """Waits for the link. `was_sent`: whether an earlier attempt may have written."""
        if self._dialer.is_open:
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._dialer.wait_open()
        except TimeoutError:
            if was_sent:
                raise unknown_outcome() from None
            raise unavailable(
                "The store does not answer; nothing was changed. Try again."
            ) from None


def _is_deletion(message: WriteDocument | UndeleteDocument) -> bool:
    return isinstance(message, WriteDocument) and message.kind is WriteKind.DELETE


def _is_missing(error: AskFailed) -> bool:
    return error.code == Failure.NOT_FOUND


def _deleted_before(message: WriteDocument | UndeleteDocument) -> WrittenReply:
    return WrittenReply(
        collection=message.collection,
        id=message.id,
        was_created=False,
        was_changed=True,
        incarnation=0,
        fingerprint=b"",
        sequence=0,
        value=b"",
        expires_at=0.0,
    )
