"""Documents over the store's own socket: works while the broker is down, and asks no token of who owns the files."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import orjson

from peatnode.client._wire.requests import Conditions, ListQuery
from peatnode.client.errors import (
    InvalidRequest,
    Problem,
    ProblemAnswer,
    UnexpectedAnswer,
    UnknownOutcome,
    Unreachable,
    error_of,
)
from peatnode.client.events import Event, Gap, SyncEvent
from peatnode.client.models import Collection, Document, ImportedLine, Page, Replicas, Written
from peatnode.client.resume import EventFilter, FeedCursor
from peatnode.client.retry import RetryPolicy
from peatnode.errors import AskFailed, AskTimedOut, LinkError, LinkLost
from peatnode.ipc.link import Link
from peatnode.ipc.messages import (
    Ask,
    Change,
    ChangesSeen,
    Failure,
    FeedGap,
    FollowChanges,
    GetDocument,
    GetStore,
    ListCollections,
    ListDocuments,
    Message,
    ReplicasReply,
    WaitReplicas,
    WriteDocument,
    WriteKind,
    WrittenReply,
)

ReplyT = TypeVar("ReplyT", bound=Message)

PAGE_BYTES = 4 * 1024 * 1024
ANSWER_SECONDS = 30.0

STATUS = {
    Failure.INVALID: 422,
    Failure.NOT_FOUND: 404,
    Failure.PRECONDITION: 412,
    Failure.TOO_LARGE: 413,
    Failure.UNAVAILABLE: 503,
    Failure.STORAGE: 507,
    Failure.QUARANTINED: 409,
    Failure.BUSY: 503,
}
"""As the API answers them."""


class DocumentsBeside:
    """Each worker is dialled when it is first asked, and again when it has come back."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._links: dict[str, Link] = {}
        self._dialling = asyncio.Lock()

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()

    async def get(self, collection: str, id: str) -> Document:
        reply = await self._read("store", GetDocument(collection, id))
        return Document(
            reply.collection,
            reply.id,
            _decode(reply.value),
            reply.fingerprint.hex(),
            reply.expires_at or None,
        )

    async def write(
        self, kind: WriteKind, collection: str, id: str, body: bytes, conditions: Conditions
    ) -> Written:
        message = WriteDocument(
            collection,
            id,
            kind,
            body,
            if_match=_tags(conditions.if_match),
            if_none_match=_tags(conditions.if_none_match),
            expires_at=_expiry(conditions.ttl),
        )
        reply = await self._ask("store", message, ANSWER_SECONDS)
        replicas = await self._wait_replicas(reply, conditions) if conditions.replicas else None
        return Written(
            collection=reply.collection,
            id=reply.id,
            value=_decode(reply.value) if reply.value and kind is not WriteKind.DELETE else None,
            etag=reply.fingerprint.hex(),
            was_created=reply.was_created,
            was_changed=reply.was_changed,
            sequence=reply.sequence,
            expires_at=reply.expires_at or None,
            replicas=replicas,
        )

    async def _wait_replicas(self, written: WrittenReply, conditions: Conditions) -> Replicas:
        wanted, seconds = conditions.replicas, conditions.timeout
        try:
            reply: ReplicasReply = await self._ask(
                "sync", WaitReplicas(written.sequence, wanted, seconds), seconds + 2.0
            )
        except (Unreachable, UnknownOutcome) as error:
            return Replicas(wanted, 0, (), f"how many peers have it could not be learned: {error}")
        detail = "" if reply.count >= wanted else f"after {seconds:g} s"
        return Replicas(wanted, reply.count, reply.peers, detail)

    async def collections(self) -> tuple[Collection, ...]:
        reply = await self._read("store", ListCollections())
        return tuple(Collection(entry.name, entry.count) for entry in reply.collections)

    async def page(self, collection: str, query: ListQuery, limit: int, cursor: str) -> Page:
        assert query.has_prefix_only
        message = ListDocuments(collection, cursor, limit, PAGE_BYTES, query.prefix)
        reply = await self._read("store", message)
        documents = (
            Document(collection, one.id, _decode(one.value), one.fingerprint.hex())
            for one in reply.documents
        )
        return Page(collection, reply.count, reply.sequence, tuple(documents), reply.next_after)

    async def import_lines(
        self, collection: str, first_line: int, lines: Sequence[bytes]
    ) -> list[ImportedLine]:
        """All at once: the store makes groups of them. Raises UnknownOutcome, Unreachable for all of them."""
        writes = [
            self._import_line(collection, number, line)
            for number, line in enumerate(lines, first_line)
            if line.strip()
        ]
        return list(await asyncio.gather(*writes))

    async def _import_line(self, collection: str, number: int, line: bytes) -> ImportedLine:
        try:
            value = checked_line(line)
            id = value.pop("_id")
            if value == {"_deleted": True}:
                await self.write(WriteKind.DELETE, collection, id, b"", Conditions())
                return ImportedLine(number, id, 200)
            written = await self.write(
                WriteKind.PUT, collection, id, orjson.dumps(value), Conditions()
            )
        except ProblemAnswer as error:
            return ImportedLine(number, "", error.problem.status, str(error))
        return ImportedLine(number, id, 201 if written.was_created else 200)

    async def events(self, filter: EventFilter, since: int | None) -> AsyncIterator[Event]:
        """Changes, resumed when the store comes back."""
        following = FeedCursor(filter, since, RetryPolicy(), random.Random())  # noqa: S311  # jitter
        if since is None:
            following.opened_at((await self._read("store", GetStore())).sequence)
        while True:
            stream = self._changes(following)
            try:
                async for event in stream:
                    for news in following.take(event):
                        yield news
            except LinkLost:
                await asyncio.sleep(following.pause_after_loss())
            except AskFailed as error:
                raise _refusal(error) from error
            finally:
                await stream.aclose()  # type: ignore[attr-defined]

    async def _changes(self, following: FeedCursor) -> AsyncIterator[Event]:
        filter = following.filter
        link = await Link.connect(self._run_dir / "store.sock", "cli")
        following.has_opened = True
        message = FollowChanges(
            since=-1 if following.since is None else following.since,
            collection=filter.collection,
            id=filter.doc_id,
            prefix=filter.prefix,
            with_value=filter.with_value,
        )
        try:
            async for event in link.follow(message):
                match event:
                    case ChangesSeen():
                        for change in event.changes:
                            yield sync_event(change)
                    case FeedGap():
                        yield Gap(event.since, event.upto)
        finally:
            await link.close()

    async def _read(self, worker: str, message: Ask[ReplyT]) -> ReplyT:
        """Asked twice where the worker died in between: reading is safe to repeat."""
        try:
            return await self._ask(worker, message, ANSWER_SECONDS)
        except UnknownOutcome:
            return await self._ask(worker, message, ANSWER_SECONDS)

    async def _ask(self, worker: str, message: Ask[ReplyT], seconds: float) -> ReplyT:
        try:
            link = await self._link(worker)
        except LinkError as error:
            raise Unreachable(str(error)) from error
        try:
            return await link.ask(message, seconds)
        except AskFailed as error:
            raise _refusal(error) from error
        except (LinkLost, AskTimedOut) as error:
            raise UnknownOutcome(str(error)) from error

    async def _link(self, worker: str) -> Link:
        async with self._dialling:
            link = self._links.get(worker)
            if link is None or not link.is_open:
                link = await Link.connect(self._run_dir / f"{worker}.sock", "cli")
                self._links[worker] = link
            return link


def checked_line(line: bytes) -> dict[str, Any]:
    """An object with an `_id`. Raises InvalidRequest."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(Problem(400, f"This is not JSON: {error}.")) from error
    if not isinstance(value, dict):
        raise InvalidRequest(Problem(422, "A document is a JSON object."))
    if not isinstance(value.get("_id"), str) or not value["_id"]:
        raise InvalidRequest(Problem(422, "_id is the document's name, a text."))
    return value


def sync_event(change: Change) -> SyncEvent:
    return SyncEvent(
        collection=change.collection,
        doc_id=change.id,
        action=change.action,
        sequence=change.sequence,
        origin=change.origin,
        fingerprint=change.fingerprint.hex(),
        value=_decode(change.value) if change.value else None,
    )


def _refusal(error: AskFailed) -> Exception:
    if error.code == Failure.UNKNOWN_OUTCOME:
        return UnknownOutcome(error.message)
    status = STATUS.get(Failure(error.code), 500)
    code = error.code.replace("_", "-")
    return error_of(Problem(status, error.message, code=code, where=error.where))


def _decode(value: bytes) -> dict[str, Any]:
    content = json.loads(value)
    if not isinstance(content, dict):
        raise UnexpectedAnswer("the store gave a value that is no JSON object")
    return content


def _tags(etag: str) -> tuple[bytes, ...]:
    """As the messages have it; what is no fingerprint matches none."""
    if not etag:
        return ()
    if etag == "*":
        return (b"*",)
    try:
        return (bytes.fromhex(etag.strip('"')),)
    except ValueError:
        return (b"?",)


def _expiry(ttl: float | None) -> float:
    if ttl is None:
        return -1.0
    return time.time() + ttl if ttl > 0 else 0.0
