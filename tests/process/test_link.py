"""Links over real sockets, both ends in one loop."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgpack
import pytest

from peatnode.errors import AskFailed, AskTimedOut, ContractMismatch, LinkLost
from peatnode.ipc.frames import encode_frame
from peatnode.ipc.link import MAX_STREAM_EVENTS, Connection, Dialer, Link, LinkServer, serve
from peatnode.ipc.messages import (
    CollectionEntry,
    CollectionsReply,
    Failure,
    FollowTopology,
    GetNode,
    Hello,
    ListCollections,
    Message,
    TopologyChanged,
)


def listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    sock.setblocking(False)
    return sock


class Answers:
    """Answers ListCollections, refuses nothing, streams 10,000 TopologyChanged."""

    def __init__(self) -> None:
        self.sent = 0
        self.streams: list[asyncio.Task[None]] = []

    def on_message(self, connection: Connection, cause: int, message: Message) -> None:
        if isinstance(message, ListCollections):
            connection.reply(cause, CollectionsReply(()))
        elif isinstance(message, FollowTopology):
            self.streams.append(asyncio.create_task(self.stream(connection, cause)))
        elif isinstance(message, GetNode):
            pass  # never answered

    async def stream(self, connection: Connection, cause: int) -> None:
        with contextlib.suppress(LinkLost):
            for number in range(200_000):
                await connection.wait_writable()
                connection.reply(cause, TopologyChanged(number))
                self.sent += 1
                if number % 100 == 99:
                    await asyncio.sleep(0)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Path, Answers, LinkServer]]:
    path = tmp_path / "store.sock"
    answers = Answers()
    with listen(path) as sock:
        server = await serve(sock, "store", answers.on_message)
        yield path, answers, server
        await server.close()
        for task in answers.streams:
            task.cancel()


async def test_many_questions_are_answered_each_by_its_own(
    served: tuple[Path, Answers, LinkServer],
) -> None:
    async with await Link.connect(served[0], "broker") as link:
        replies = await asyncio.gather(*[link.ask(ListCollections()) for _ in range(500)])
    assert replies == [CollectionsReply(())] * 500


async def test_a_refusal_is_typed(tmp_path: Path) -> None:
    with listen(tmp_path / "s") as sock:
        server = await serve(
            sock,
            "store",
            lambda connection, cause, _: connection.fail(cause, Failure.INVALID, "No.", "/a"),
        )
        async with await Link.connect(tmp_path / "s", "broker") as link:
            with pytest.raises(AskFailed) as caught:
                await link.ask(ListCollections())
        await server.close()
    assert (caught.value.code, caught.value.message, caught.value.where) == (
        Failure.INVALID,
        "No.",
        "/a",
    )


async def test_no_answer_in_time(served: tuple[Path, Answers, LinkServer]) -> None:
    async with await Link.connect(served[0], "broker") as link:
        with pytest.raises(AskTimedOut):
            await link.ask(GetNode(), timeout=0.05)
        assert await link.ask(ListCollections()) == CollectionsReply(())


async def test_questions_in_flight_fail_when_the_server_goes(
    served: tuple[Path, Answers, LinkServer],
) -> None:
    path, _, server = served
    link = await Link.connect(path, "broker")
    pending = asyncio.create_task(link.ask(GetNode()))
    await link.ask(ListCollections())
    await server.close()
    with pytest.raises(LinkLost):
        await pending
    assert not link.is_open


async def test_a_large_answer_has_left_when_the_server_has_closed(tmp_path: Path) -> None:
    large = CollectionsReply(tuple([CollectionEntry("c" * 1000, number) for number in range(5000)]))
    answered = asyncio.Event()

    def on_message(connection: Connection, cause: int, message: Message) -> None:
        connection.reply(cause, large)
        answered.set()

    sock = listen(tmp_path / "s.sock")
    server = await serve(sock, "store", on_message)
    link = await Link.connect(tmp_path / "s.sock", "test")
    asking = asyncio.create_task(link.ask(ListCollections()))
    await answered.wait()
    await server.close()
    assert not server.connections
    assert await asking == large
    await link.close()
    sock.close()


async def test_nobody_serves(tmp_path: Path) -> None:
    with pytest.raises(LinkLost, match=r"nobody\.sock"):
        await Link.connect(tmp_path / "nobody.sock", "broker")


async def test_a_slow_reader_holds_up_the_stream_and_not_the_memory(
    served: tuple[Path, Answers, LinkServer],
) -> None:
    path, answers, _ = served
    link = await Link.connect(path, "broker")
    stream = link.follow(FollowTopology())
    assert await anext(stream) == TopologyChanged(0)
    sent = -1
    while sent != answers.sent:  # until the server has been made to wait
        sent = answers.sent
        for _ in range(50):
            await link.ask(ListCollections())
    assert MAX_STREAM_EVENTS <= sent < 200_000
    for number in range(1, 1000):
        assert await anext(stream) == TopologyChanged(number)
    await stream.aclose()
    await link.close()


async def test_a_dialer_waits_for_the_worker_to_return(tmp_path: Path) -> None:
    path = tmp_path / "store.sock"
    dialer = Dialer(path, "broker")
    asking = asyncio.create_task(dialer.ask(ListCollections(), timeout=10))
    with listen(path) as sock:
        server = await serve(sock, "store", Answers().on_message)
        assert await asking == CollectionsReply(())
        await server.close()
        with pytest.raises((AskTimedOut, LinkLost)):
            await dialer.ask(GetNode(), timeout=0.1)
        server = await serve(sock, "store", Answers().on_message)
        assert await dialer.ask(ListCollections(), timeout=10) == CollectionsReply(())
        await dialer.close()
        await server.close()


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\xc1",
        encode_frame(ListCollections(), 1),
        len(content := msgpack.packb(("hello", 0, "x", "y", "z"))).to_bytes(4, "big") + content,
        encode_frame(Hello("broker", 1, 999), 0),
    ],
    ids=["too long", "not msgpack", "no hello", "wrong types", "other contract"],
)
async def test_what_is_not_of_the_contract_ends_that_link_alone(
    served: tuple[Path, Answers, LinkServer], bytes_sent: bytes
) -> None:
    path, _, _ = served
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(bytes_sent)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
    writer.close()
    async with await Link.connect(path, "broker") as link:
        assert await link.ask(ListCollections()) == CollectionsReply(())


async def test_another_contract_is_said_as_such(tmp_path: Path) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(encode_frame(Hello("store", os.getpid(), 999), 0))

    server = await asyncio.start_unix_server(greet, str(tmp_path / "s"))
    with pytest.raises(ContractMismatch, match="999"):
        await Link.connect(tmp_path / "s", "broker")
    server.close()


async def test_a_link_is_no_bottleneck(served: tuple[Path, Answers, LinkServer]) -> None:
    """Not a benchmark: a thousand questions must not take longer than a person would wait."""
    async with await Link.connect(served[0], "broker") as link:
        started = time.monotonic()
        for _ in range(1000):
            await link.ask(ListCollections())
        assert time.monotonic() - started < 30


async def test_a_message_that_needs_too_much_memory_ends_its_link_and_no_process(
    tmp_path: Path,
) -> None:
    """An allocation really fails: 2**62 bytes, while the server handles the message."""

    def on_message(connection: Connection, cause: int, message: Message) -> None:
        if isinstance(message, GetNode):
            bytes(2**62)
        connection.reply(cause, CollectionsReply(()))

    listener = listen(tmp_path / "s.sock")
    server = await serve(listener, "store", on_message)
    dialer = Dialer(tmp_path / "s.sock", "test")
    for _ in range(2):
        with pytest.raises(LinkLost):
            await dialer.ask(GetNode(), 5.0)
        assert await dialer.ask(ListCollections(), 5.0) == CollectionsReply(())
    await dialer.close()
    await server.close()
    listener.close()
