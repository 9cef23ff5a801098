"""Documents over the sockets of the workers. Access needs neither broker nor token, but the files' owner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from peatnode.api.bulk_lines import is_blank, line_answer, line_problem, parse_line
from peatnode.api.encode_document import (
    ReplicaProgress,
    collections_body,
    deleted_collections_body,
    deleted_document_body,
    deleted_page_body,
    document_body,
    listing_body,
    with_id,
    written_body,
)
from peatnode.api.encode_event import encode_change
from peatnode.api.failures import HttpProblem, from_failure
from peatnode.api.names import NEW_ID_BYTES, check_names
from peatnode.api.writes import (
    REPLICAS_GRACE_SECONDS,
    UNCHANGED_EXPIRY,
    check_replicas,
    content_of,
    expires_at,
    replica_progress,
    write_message,
)
from peatnode.cli.documents.problem_errors import client_error, client_errors
from peatnode.client._wire import responses
from peatnode.client._wire.requests import Conditions, ListQuery
from peatnode.client._wire.responses import NodeResponse
from peatnode.client.errors import UnknownOutcome, Unreachable
from peatnode.client.events import Event, Gap, event_of
from peatnode.client.models import (
    Collection,
    DeletedDocument,
    DeletedPage,
    Document,
    ImportedLine,
    Page,
    Written,
)
from peatnode.client.resume import EventFilter
from peatnode.config import LARGEST_BODY_BYTES
from peatnode.errors import AskFailed, AskTimedOut, LinkError, LinkLost
from peatnode.ipc.follow_changes import ChangeFollower
from peatnode.ipc.link import Dialer, Link
from peatnode.ipc.messages import (
    Ask,
    ChangesSeen,
    FeedGap,
    FollowChanges,
    GetDocument,
    GetPeers,
    GetStore,
    ListCollections,
    ListDeleted,
    ListDeletedCollections,
    ListDocuments,
    Message,
    PeersReply,
    ReadDeleted,
    ReplicasReply,
    UndeleteDocument,
    WaitReplicas,
    WriteDocument,
    WriteKind,
    WrittenReply,
)
from peatnode.ipc.peer_names import PeerNames
from peatnode.model.feed import FeedRestarted

ReplyT = TypeVar("ReplyT", bound=Message)

LISTED = 1000
"""Deleted documents in a page."""

PAGE_BYTES = 4 * 1024 * 1024
ANSWER_SECONDS = 30.0
NOT_YET_SECONDS = 5.0
"""Time for a node whose clock has not been judged since its start, so that it sets no expiry yet."""
PAUSE_SECONDS = 0.05
NAMES_SECONDS = 1.0
"""Time for the sync worker to tell the names of peers that sent changes."""


class SocketDocuments:
    """Documents of a local node. `peatnode.api` reads requests and encodes answers, as for the HTTP API.

    It connects to a worker with the first request, and again after a restart.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._links: dict[str, Link] = {}
        self._connecting = asyncio.Lock()
        self._names = PeerNames(self._peers)

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()

    async def get(self, collection: str, id: str) -> Document:
        with client_errors():
            check_names(collection, id)
            reply = await self._read("store", GetDocument(collection, id))
        return responses.read_document(_answer(document_body(reply)))

    async def write(
        self, kind: WriteKind, collection: str, id: str, body: bytes, conditions: Conditions
    ) -> Written:
        headers = dict(conditions.headers())
        with client_errors():
            check_names(collection, id)
            check_replicas(conditions.replicas, conditions.timeout)
            if len(body) > LARGEST_BODY_BYTES:  # a link might not carry it
                raise HttpProblem(
                    413, "too-large", f"The body is larger than {LARGEST_BODY_BYTES} bytes."
                )
            message = write_message(
                collection,
                id,
                kind,
                content_of(kind, body, id),
                headers.get("If-Match"),
                headers.get("If-None-Match"),
                expires_at(conditions.ttl, time.time()),
            )
            reply = await self._write(message)
        replicas = await self._wait_replicas(reply, conditions) if conditions.replicas else None
        content = written_body(reply, kind is WriteKind.DELETE, replicas)
        return responses.read_written(_answer(content))

    async def _write(self, message: WriteDocument) -> WrittenReply:
        """Asks again for a while if the clock has not been judged yet, as the broker does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + NOT_YET_SECONDS
        while True:
            try:
                return await self._ask("store", message, ANSWER_SECONDS)
            except HttpProblem as problem:
                is_judged = problem.code != "unavailable" or problem.where != "ttl"
                if is_judged or loop.time() > deadline:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def _wait_replicas(
        self, written: WrittenReply, conditions: Conditions
    ) -> ReplicaProgress:
        wanted, seconds = conditions.replicas, conditions.timeout
        question = WaitReplicas(written.sequence, wanted, seconds, written.generation)
        reply: ReplicasReply | None
        try:
            reply = await self._ask("sync", question, seconds + REPLICAS_GRACE_SECONDS)
        except (Unreachable, UnknownOutcome, HttpProblem):
            reply = None
        return replica_progress(reply, wanted, seconds)

    async def collections(self) -> tuple[Collection, ...]:
        found: tuple[Collection, ...] = ()
        after = ""
        while True:
            with client_errors():
                reply = await self._read("store", ListCollections(after))
            page, after = responses.read_collections(_answer(collections_body(reply)))
            found += page
            if not after:
                return found

    async def page(self, collection: str, query: ListQuery, limit: int, cursor: str) -> Page:
        assert query.has_prefix_only
        message = ListDocuments(collection, cursor, limit, PAGE_BYTES, query.prefix)
        with client_errors():
            check_names(collection)
            reply = await self._read("store", message)
        found = [with_id(document.id, document.value) for document in reply.documents]
        content = listing_body(
            collection, found, len(found), reply.count, reply.sequence, reply.next_after
        )
        return responses.read_page(_answer(content))

    async def deleted_collections(self) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        after = ""
        while True:
            with client_errors():
                reply = await self._read("store", ListDeletedCollections(after))
            body = deleted_collections_body(reply)
            page, after = responses.read_deleted_collections(_answer(body))
            found += page
            if not after:
                return found

    async def deleted_page(
        self, collection: str, prefix: str, since: float, cursor: str
    ) -> DeletedPage:
        with client_errors():
            check_names(collection)
            question = ListDeleted(collection, bytes.fromhex(cursor), LISTED, prefix, since)
            reply = await self._read("store", question)
        await self._names.learn([entry.origin for entry in reply.entries])
        return responses.read_deleted_page(_answer(deleted_page_body(reply, self._names.name_of)))

    async def deleted_document(self, collection: str, id: str, incarnation: int) -> DeletedDocument:
        with client_errors():
            check_names(collection, id)
            reply = await self._read("store", ReadDeleted(collection, id, incarnation))
        await self._names.learn([reply.entry.origin])
        body = deleted_document_body(collection, reply, self._names.name_of)
        return responses.read_deleted_document(_answer(body))

    async def undelete(
        self, collection: str, id: str, incarnation: int, conditions: Conditions
    ) -> Written:
        with client_errors():
            check_names(collection, id)
            check_replicas(conditions.replicas, conditions.timeout)
            message = UndeleteDocument(collection, id, incarnation)
            reply = await self._ask("store", message, ANSWER_SECONDS)
        replicas = await self._wait_replicas(reply, conditions) if conditions.replicas else None
        return responses.read_written(_answer(written_body(reply, False, replicas)))

    async def import_lines(
        self, collection: str, first_line: int, lines: Sequence[bytes]
    ) -> list[ImportedLine]:
        """Sends all lines at once, so that the store can group them. Raises UnknownOutcome, Unreachable."""
        writes = [
            self._import_line(collection, number, line)
            for number, line in enumerate(lines, first_line)
            if not is_blank(line)
        ]
        return list(await asyncio.gather(*writes))

    async def _import_line(self, collection: str, number: int, line: bytes) -> ImportedLine:
        new_id = partial(secrets.token_hex, NEW_ID_BYTES)
        try:
            message = parse_line(collection, line, UNCHANGED_EXPIRY, new_id)
            content = line_answer(number, await self._ask("store", message, ANSWER_SECONDS))
        except HttpProblem as problem:
            content = line_problem(number, problem)
        return responses.imported_line(content, 1)

    async def events(self, filter: EventFilter, since: int | None) -> AsyncIterator[Event]:
        """The changes after `since`; None: from now on. Resumes after a restart of the store."""
        dialer = Dialer(self._run_dir / "store.sock", "cli")
        request = FollowChanges(
            since=-1 if since is None else since,
            collection=filter.collection,
            id=filter.doc_id,
            prefix=filter.prefix,
            with_value=filter.with_value,
        )
        follower, names = ChangeFollower(dialer, request), self._names
        if since is None:
            with client_errors():
                follower.begin(await self._read("store", GetStore()))
        try:
            async with contextlib.aclosing(follower.events()) as received:
                async for event in received:
                    match event:
                        case ChangesSeen():
                            await names.learn([change.origin for change in event.changes])
                            for change in event.changes:
                                name = names.name_of(change.origin)
                                content = encode_change(change, filter.with_value, name)
                                yield event_of(json.loads(content))
                        case FeedGap() | FeedRestarted():
                            yield Gap(event.since, event.upto)
        except AskFailed as error:
            raise client_error(from_failure(error)) from error
        finally:
            await dialer.close()

    async def _peers(self) -> PeersReply | None:
        """None: the sync worker does not answer."""
        try:
            return await self._ask("sync", GetPeers(), NAMES_SECONDS)
        except (Unreachable, UnknownOutcome, HttpProblem):
            return None

    async def _read(self, worker: str, message: Ask[ReplyT]) -> ReplyT:
        """Asks again if the worker exits meanwhile: a read is safe to repeat."""
        try:
            return await self._ask(worker, message, ANSWER_SECONDS)
        except UnknownOutcome:
            return await self._ask(worker, message, ANSWER_SECONDS)

    async def _ask(self, worker: str, message: Ask[ReplyT], seconds: float) -> ReplyT:
        """Raises Unreachable, UnknownOutcome, HttpProblem."""
        try:
            link = await self._link(worker)
        except LinkError as error:
            raise Unreachable(str(error)) from error
        try:
            return await link.ask(message, seconds)
        except AskFailed as error:
            raise from_failure(error) from error
        except (LinkLost, AskTimedOut) as error:
            raise UnknownOutcome(str(error)) from error

    async def _link(self, worker: str) -> Link:
        async with self._connecting:
            link = self._links.get(worker)
            if link is None or not link.is_open:
                link = await Link.connect(self._run_dir / f"{worker}.sock", "cli")
                self._links[worker] = link
            return link


def _answer(content: bytes) -> NodeResponse:
    return NodeResponse(200, {}, content)
