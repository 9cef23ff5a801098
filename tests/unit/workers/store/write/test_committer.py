"""The committer's end: everything that was accepted is on disk, or refused, before the store stops."""

from __future__ import annotations

import asyncio
import functools
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pycrdt

from peatnode.documents.json.size import ChangeLimits
from peatnode.documents.replica.ended.contents import EndedBounds, EndedContents
from peatnode.documents.replica.replica import Replica
from peatnode.ipc.link import Connection, serve
from peatnode.ipc.messages import (
    AppliedReply,
    ApplyUpdates,
    EngineOutcome,
    Failed,
    Failure,
    Message,
    OperationResult,
    OperationsReply,
    RunOperations,
    WriteDocument,
    WriteKind,
    WrittenReply,
)
from peatnode.model.documents import DocumentUpdate, Outcome
from tests.support.conflict_notes import ConflictNotes
from tests.support.leap_notes import LeapNotes
from tests.support.many_clients import to_document, written_by
from tests.support.member_notes import MemberNotes
from tests.support.pause_notes import PauseNotes
from tests.support.waiting import until
from workers.store.disk.database import Database
from workers.store.disk.witness import no_witness
from workers.store.ended.undeletions import Undeletions
from workers.store.engine.client import EngineClient
from workers.store.engine.quarantine import Quarantine
from workers.store.pace import LARGE_BYTES
from workers.store.peers.deletions import Deletions
from workers.store.peers.members import KeptMembers
from workers.store.quarantine.leaps import Leaps
from workers.store.write.batch import BatchBuilder
from workers.store.write.committer import GroupCommitter
from workers.store.write.conflicts import Conflicts
from workers.store.write.request import WriteResolver
from workers.store.write.withdrawal import Withdrawals
from workers.store.write.work import QueuedRequest


class SlowEngine:
    """An engine that answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Connection, int, RunOperations]] = []

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        assert isinstance(message, RunOperations)
        self.asked.append((connection, cause, message))

    def answer(self) -> None:
        connection, cause, message = self.asked.pop()
        result = OperationResult(EngineOutcome.DONE, b"", b'{"text":"by the engine"}', "", "")
        connection.reply(cause, OperationsReply((result,) * len(message.operations)))


@asynccontextmanager
async def committing(
    directory: Path,
    generation: Callable[[], int] = lambda: 1,
    kind: type[Database] = Database,
    clock: Callable[[], float] = time.perf_counter,
) -> AsyncIterator[tuple[GroupCommitter, SlowEngine, Replica]]:
    slow = SlowEngine()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "engine.sock"))
    listener.listen()
    listener.setblocking(False)
    server = await serve(listener, "engine", slow.on_message)
    database = kind(directory / "store")
    replica = Replica(database, 7)
    engine = EngineClient(directory / "engine.sock", replica)
    assert await engine.wait_ready(5.0)
    quarantine = Quarantine(replica)
    resolver = WriteResolver(replica, engine, quarantine, ChangeLimits(), generation)
    withdrawals = Withdrawals(replica, engine, quarantine, resolver, lambda name, reason: None)
    builder = BatchBuilder(
        replica,
        engine,
        quarantine,
        resolver,
        withdrawals,
        Conflicts(replica, lambda: 0.0, ConflictNotes()),
        Leaps(replica, lambda: 0.0, LeapNotes()),
        KeptMembers(replica, MemberNotes()),
        Undeletions(
            replica,
            EndedContents(replica, EndedBounds(60.0, 1 << 20), lambda: 0.0, lambda: 0.0),
            lambda: 0.0,
        ),
        Deletions(replica, 0, PauseNotes()),
        lambda: None,
        lambda: None,
        clock,
    )
    committer = GroupCommitter(
        database,
        no_witness(directory),
        replica,
        builder,
        lambda _: None,
        lambda _: None,
        lambda _: None,
    )
    running = asyncio.create_task(committer.run())
    try:
        yield committer, slow, replica
    finally:
        running.cancel()
        await engine.close()
        await server.close()
        listener.close()
        database.close()


def text_update() -> bytes:
    doc: Any = pycrdt.Doc(client_id=3)
    doc.get("root", type=pycrdt.Map)["/text"] = pycrdt.Text("a text, which only the engine reads")
    return bytes(doc.get_update())


async def test_draining_waits_for_what_the_engine_computes(tmp_path: Path) -> None:
    answers: list[Message | None] = []
    async with committing(tmp_path) as (committer, engine, _):
        update = DocumentUpdate("c", "d", 1, False, 0.0, text_update())
        committer.add(QueuedRequest(ApplyUpdates((update,), "peer"), on_done=answers.append))
        await until(lambda: bool(engine.asked))
        draining = asyncio.create_task(committer.drain())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not draining.done(), "the request is neither on disk nor refused"
        engine.answer()
        await draining
        (answer,) = answers
        assert isinstance(answer, AppliedReply)


def typed(client: int, text: str) -> bytes:
    doc: Any = pycrdt.Doc(client_id=client)
    doc.get("t", type=pycrdt.Text).insert(0, text)
    return bytes(doc.get_update())


async def test_nothing_of_a_client_is_taken_after_it_has_sent_what_was_deleted(
    tmp_path: Path,
) -> None:
    """The store knows the client ids of some content of the deleted document only, and not those of the last update."""
    answers: list[Message | None] = []

    async def apply(incarnation: int, origin: str, *updates: bytes) -> list[Outcome]:
        sent = tuple(DocumentUpdate("c", "d", incarnation, False, 0.0, u) for u in updates)
        committer.add(QueuedRequest(ApplyUpdates(sent, origin), on_done=answers.append))
        await committer.drain()
        answer = answers[-1]
        assert isinstance(answer, AppliedReply)
        return list(answer.outcomes)

    async with committing(tmp_path) as (committer, _, replica):
        old, honest, other = typed(3, "old"), typed(4, "honest"), typed(5, "of who knows where")
        assert await apply(1, "client:1", old) == [Outcome.APPLIED]
        committer.add(QueuedRequest(WriteDocument("c", "d", WriteKind.DELETE, b"")))
        await committer.drain()
        outcomes = await apply(2, "client:1", honest, old, other)
        assert outcomes == [Outcome.APPLIED, Outcome.STALE, Outcome.STALE]
        assert await apply(2, "client:2", other) == [Outcome.APPLIED]
        record = replica.record_on_disk(b"c\0d")
        assert record is not None
        assert set(record.state_vector) == {4, 5}


async def test_draining_waits_for_all_that_arrived_and_ends_with_its_sync(tmp_path: Path) -> None:
    answers: list[Message | None] = []
    async with committing(tmp_path) as (committer, _, _):
        await committer.drain()  # nothing to wait for
        for n in range(1300):  # several batches
            write = WriteDocument("c", f"{n}", WriteKind.PUT, b"{}")
            assert committer.add(QueuedRequest(write, on_done=answers.append))
        await committer.drain()
        assert [type(answer) for answer in answers] == [WrittenReply] * 1300
        await committer.drain()


async def test_a_write_without_memory_is_refused_alone_and_nothing_of_it_is_written(
    tmp_path: Path,
) -> None:
    """An allocation really fails, after the change is staged: 2**62 bytes, while its reply is made."""
    failures = iter([True, True])  # in the batch, and when the request is carried out alone
    answers: dict[str, Message | None] = {}

    def generation() -> int:
        return len(bytes(2**62)) if next(failures, False) else 1

    async with committing(tmp_path, generation) as (committer, _, replica):
        for name in ("first", "second"):
            write = WriteDocument("c", name, WriteKind.PUT, b'{"a":1}')
            done = functools.partial(answers.__setitem__, name)
            assert committer.add(QueuedRequest(write, on_done=done))
        await committer.drain()
        refused, written = answers["first"], answers["second"]
        assert isinstance(refused, Failed)
        assert refused.code == Failure.OUT_OF_MEMORY
        assert isinstance(written, WrittenReply)
        assert (written.sequence, replica.sequence) == (1, 1)
        assert replica.record_on_disk(b"c\0first") is None
        assert replica.record_on_disk(b"c\0second") is not None


class WatchedDatabase(Database):
    """Fails if a second write is made before the first one is synced."""

    unsynced = 0

    def write(self, writes: Iterable[tuple[bytes, bytes | None]]) -> None:
        assert not self.unsynced, "a power cut could tear a write before a whole one"
        self.unsynced += 1
        super().write(writes)

    def sync(self) -> None:
        super().sync()
        self.unsynced = 0


async def test_never_is_more_than_one_write_unsynced(tmp_path: Path) -> None:
    answers: list[Message | None] = []
    async with committing(tmp_path, kind=WatchedDatabase) as (committer, _, replica):
        database = replica.kv
        assert isinstance(database, WatchedDatabase)
        for n in range(200):
            write = WriteDocument("c", f"{n}", WriteKind.PUT, b"{}")
            assert committer.add(QueuedRequest(write, on_done=answers.append))
            alone = [
                asyncio.create_task(committer.write_alone(partial(database.write, [(b"mx", b"")])))
                for _ in range(n % 3)
            ]
            await asyncio.gather(*alone)
        await committer.drain()
        assert len(answers) == 200
        assert database.get(b"mx") == b""


def ticking(seconds: float) -> Callable[[], float]:
    """A clock by which so much time passes between two looks at it."""
    ticks = count()
    return lambda: next(ticks) * seconds


async def test_a_batch_that_takes_long_is_committed_and_the_rest_follows_in_order(
    tmp_path: Path,
) -> None:
    """Three writes to each of 40 documents: some wait for the next round when the time is up."""
    async with committing(tmp_path, clock=ticking(0.02)) as (committer, _, replica):
        answers: list[tuple[int, Message | None]] = []
        requests = [
            WriteDocument("c", str(number % 40), WriteKind.PUT, b'{"n":%d}' % number)
            for number in range(120)
        ]
        for number, request in enumerate(requests):
            assert committer.add(
                QueuedRequest(request, on_done=partial(note_answer, answers, number))
            )
        await committer.drain()
        assert sorted(number for number, _ in answers) == list(range(120))
        assert all(isinstance(reply, WrittenReply) for _, reply in answers)
        commits = {m.name: m.value for m in committer.sizes.samples("sizes") if not m.labels}
        assert commits["sizes_count"] > 10
        for number in range(40):
            key = f"c\0{number}".encode()
            record = replica.record_on_disk(key)
            assert record is not None
            assert replica.value(key, record) == b'{"n":%d}' % (80 + number)


def note_answer(
    answers: list[tuple[int, Message | None]], number: int, reply: Message | None
) -> None:
    answers.append((number, reply))


async def test_the_event_loop_turns_while_one_request_is_carried_out(tmp_path: Path) -> None:
    async with committing(tmp_path, clock=ticking(0.02)) as (committer, _, _):
        answers: list[Message | None] = []
        updates = tuple(to_document(update, str(n)) for n in range(30) for update in written_by(1))
        assert committer.add(QueuedRequest(ApplyUpdates(updates, "peer"), on_done=answers.append))
        turns = 0
        while not answers:
            turns += 1
            await asyncio.sleep(0)
        assert turns > 30


async def test_a_large_update_is_joined_and_refused_as_a_small_one(tmp_path: Path) -> None:
    """It is decoded, and its state is packed, in a thread."""
    (large,) = written_by(3000)
    assert len(large) > LARGE_BYTES
    async with committing(tmp_path) as (committer, _, replica):
        answers: list[Message | None] = []
        updates = tuple(to_document(update) for update in (large, large[:-1], large))
        assert committer.add(QueuedRequest(ApplyUpdates(updates, "peer"), on_done=answers.append))
        await committer.drain()
        (reply,) = answers
        assert isinstance(reply, AppliedReply)
        assert reply.outcomes == (Outcome.APPLIED, Outcome.REFUSED, Outcome.KNOWN)
        assert reply.reasons[1]
        key = b"c\0many"
        record = replica.record_on_disk(key)
        assert record is not None
        assert len(replica.merged(key, record).structs) == 3000
