"""Documents over a store's socket whose process dies at the worst moments."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from peatnode.cli.documents.socket_source import SocketDocuments
from peatnode.client._wire.requests import Conditions
from peatnode.client.errors import (
    Conflict,
    NotFound,
    PreconditionFailed,
    ProblemAnswer,
    TooLarge,
    Unavailable,
    UnknownOutcome,
    Unreachable,
)
from peatnode.client.events import Gap, SyncEvent
from peatnode.client.models import Replicas
from peatnode.client.resume import EventFilter
from peatnode.ipc.link import Connection, LinkServer, serve
from peatnode.ipc.messages import (
    Change,
    ChangesSeen,
    CollectionEntry,
    CollectionsReply,
    DocumentReply,
    Failure,
    FeedGap,
    FollowChanges,
    GetDocument,
    GetStore,
    ListCollections,
    Message,
    ReplicasReply,
    StoreReply,
    WaitReplicas,
    WriteDocument,
    WriteKind,
    WrittenReply,
)

DOCUMENT = DocumentReply("c", "i", 1, bytes(16), 4, b'{"a":1}', 0.0)
WRITTEN = WrittenReply("c", "i", True, True, 1, bytes(16), 4, b'{"a":1}', 0.0)

Answer = Callable[[Connection, int, Message], None]


async def start(run_dir: Path, worker: str, answer: Answer) -> LinkServer:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(run_dir / f"{worker}.sock"))
    sock.listen()
    sock.setblocking(False)
    server = await serve(sock, worker, answer)
    sock.close()
    return server


async def test_a_read_is_asked_again_when_the_store_died_over_it(tmp_path: Path) -> None:
    asked = 0

    def answer(connection: Connection, cause: int, message: Message) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            connection.close()
        else:
            assert message == GetDocument("c", "i")
            connection.reply(cause, DOCUMENT)

    server = await start(tmp_path, "store", answer)
    documents = SocketDocuments(tmp_path)
    assert (await documents.get("c", "i")).value == {"a": 1}
    assert asked == 2
    await documents.close()
    await server.close()


async def test_collections_of_several_pages(tmp_path: Path) -> None:
    def answer(connection: Connection, cause: int, message: Message) -> None:
        assert isinstance(message, ListCollections)
        if not message.after:
            connection.reply(cause, CollectionsReply((CollectionEntry("a", 1),), "a", 2))
        else:
            assert message.after == "a"
            connection.reply(cause, CollectionsReply((CollectionEntry("b", 2),), "", 2))

    server = await start(tmp_path, "store", answer)
    documents = SocketDocuments(tmp_path)
    found = await documents.collections()
    assert [(one.name, one.count) for one in found] == [("a", 1), ("b", 2)]
    await documents.close()
    await server.close()


async def test_a_write_is_not(tmp_path: Path) -> None:
    asked = 0

    def answer(connection: Connection, cause: int, message: Message) -> None:
        nonlocal asked
        asked += 1
        connection.close()

    server = await start(tmp_path, "store", answer)
    documents = SocketDocuments(tmp_path)
    with pytest.raises(UnknownOutcome):
        await documents.write(WriteKind.PUT, "c", "i", b"{}", Conditions())
    assert asked == 1
    await documents.close()
    await server.close()


async def test_no_store_is_nobody_reached(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await SocketDocuments(tmp_path).write(WriteKind.PUT, "c", "i", b"{}", Conditions())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Failure.INVALID, ProblemAnswer),
        (Failure.NOT_FOUND, NotFound),
        (Failure.PRECONDITION, PreconditionFailed),
        (Failure.TOO_LARGE, TooLarge),
        (Failure.UNAVAILABLE, Unavailable),
        (Failure.UNKNOWN_OUTCOME, UnknownOutcome),
        (Failure.STORAGE, Unavailable),
        (Failure.QUARANTINED, Conflict),
        (Failure.EXHAUSTED, Conflict),
        (Failure.BUSY, Unavailable),
        (Failure.OUT_OF_MEMORY, Unavailable),
        (Failure.CLOCK, Unavailable),
    ],
)
async def test_each_refusal_has_its_error(
    tmp_path: Path, code: Failure, kind: type[Exception]
) -> None:
    server = await start(tmp_path, "store", lambda one, cause, _: one.fail(cause, code, "No."))
    documents = SocketDocuments(tmp_path)
    with pytest.raises(kind, match=r"No\."):
        await documents.write(WriteKind.PATCH, "c", "i", b"{}", Conditions())
    await documents.close()
    await server.close()


async def test_a_ttl_waits_until_the_clock_has_been_judged(tmp_path: Path) -> None:
    asked: list[int] = []

    def store(connection: Connection, cause: int, _: Message) -> None:
        asked.append(cause)
        if len(asked) < 3:
            connection.fail(cause, Failure.UNAVAILABLE, "not judged yet", "ttl")
        else:
            connection.reply(cause, WRITTEN)

    server = await start(tmp_path, "store", store)
    documents = SocketDocuments(tmp_path)
    await documents.write(WriteKind.PUT, "c", "i", b"{}", Conditions(ttl=60))
    assert len(asked) == 3
    await documents.close()
    await server.close()


async def test_conditions_and_the_wait_for_peers(tmp_path: Path) -> None:
    seen: list[Message] = []

    def store(connection: Connection, cause: int, message: Message) -> None:
        seen.append(message)
        connection.reply(cause, WRITTEN)

    def sync(connection: Connection, cause: int, message: Message) -> None:
        seen.append(message)
        connection.reply(cause, ReplicasReply(1, ("p",)))

    servers = [await start(tmp_path, "store", store), await start(tmp_path, "sync", sync)]
    documents = SocketDocuments(tmp_path)
    conditions = Conditions(if_match="ab" * 16, if_none_match="*", replicas=2, timeout=0.5)
    written = await documents.write(WriteKind.PUT, "c", "i", b"{}", conditions)
    assert written.replicas == Replicas(
        2,
        1,
        ("p",),
        "The write is on this node's disk and on 1 of 2 peers after 0.5 s. Sync continues to send it to the others.",
    )
    assert seen == [
        WriteDocument("c", "i", WriteKind.PUT, b"{}", (b"\xab" * 16,), (b"*",), -1.0),
        WaitReplicas(4, 2, 0.5),
    ]
    await documents.close()
    for server in servers:
        await server.close()


STORE = StoreReply(0, 0, 10, 1, b"", 1, 0, 0, True, "", (), True)


async def test_the_feed_goes_on_when_the_store_comes_back(tmp_path: Path) -> None:
    asked: list[int] = []

    def change(sequence: int) -> Change:
        return Change(sequence, "c", "i", "updated", 1, bytes(16), "", b"", b'{"a":1}')

    def answer(connection: Connection, cause: int, message: Message) -> None:
        if isinstance(message, GetStore):
            connection.reply(cause, STORE)
            return
        assert isinstance(message, FollowChanges)
        asked.append(message.since)
        if len(asked) == 1:
            connection.reply(cause, ChangesSeen((change(4), change(5)), 5))
            connection.close()
        else:
            connection.reply(cause, FeedGap(5, 9))
            connection.reply(cause, ChangesSeen((change(10),), 10))

    server = await start(tmp_path, "store", answer)
    documents = SocketDocuments(tmp_path)
    found = []
    async with asyncio.timeout(20), aclosing(documents.events(EventFilter("c"), 3)) as events:
        async for event in events:
            found.append(event)
            if len(found) == 4:
                break
    assert asked == [3, 5]
    assert [event.sequence for event in found if isinstance(event, SyncEvent)] == [4, 5, 10]
    assert found[2] == Gap(5, 9)
    await documents.close()
    await server.close()


async def test_an_import_answers_each_line(tmp_path: Path) -> None:
    def answer(connection: Connection, cause: int, message: Message) -> None:
        assert isinstance(message, WriteDocument)
        if message.id == "bad":
            connection.fail(cause, Failure.INVALID, "No.")
        else:
            connection.reply(cause, WRITTEN)

    server = await start(tmp_path, "store", answer)
    documents = SocketDocuments(tmp_path)
    lines = [b'{"_id":"a"}', b"nonsense", b"", b'{"_id":"bad"}', b'{"_id":"a","_deleted":true}']
    answers = await documents.import_lines("c", 11, lines)
    assert [(one.line, one.is_written) for one in answers] == [
        (11, True),
        (12, False),
        (14, False),
        (15, True),
    ]
    await documents.close()
    await server.close()


async def test_a_position_that_the_feed_has_not_reached_is_a_gap(tmp_path: Path) -> None:
    """It is another node's, or the store has lost its files."""

    def answer(connection: Connection, cause: int, message: Message) -> None:
        if isinstance(message, GetStore):
            connection.reply(cause, STORE)

    server = await start(tmp_path, "store", answer)
    documents = SocketDocuments(tmp_path)
    async with asyncio.timeout(20), aclosing(documents.events(EventFilter("c"), 99)) as events:
        assert await anext(events) == Gap(99, 10)
    await documents.close()
    await server.close()
