"""Who does not belong, or does not keep to the protocol, gets nothing and takes nothing down."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aioquic.quic.configuration import QuicConfiguration

from peatnode.codec.frames import frame
from peatnode.identity import endpoint_private_key, endpoint_public_key
from peatnode.ipc import messages
from peatnode.model.documents import DocumentUpdate
from peatnode.protocol.connect.handshake import Authentication
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates
from peatnode.protocol.wire.messages import ALPN
from tests.support.insider import authenticate, authentication, credentials, insider, stranger
from tests.support.sync_mesh import Worker, introduce
from tests.support.waiting import until


@pytest.fixture
async def victim(tmp_path: Path) -> AsyncIterator[Worker]:
    worker = Worker(tmp_path, "victim")
    await worker.open()
    worker.store.write("notes", "secret-document")
    await worker.peers()
    yield worker
    assert worker.is_running, worker.log()
    assert "ERROR" not in worker.log()
    await worker.close()


async def rejections(worker: Worker) -> dict[str, float]:
    reply = await worker.ask(messages.GetMetrics())
    return {
        metric.labels[0][1]: metric.value
        for metric in reply.metrics
        if metric.name == "peatnode_rejected_input_total"
    }


async def test_another_secret_is_refused_by_both(victim: Worker, tmp_path: Path) -> None:
    other = Worker(tmp_path, "other", secret="another")
    await other.open()
    introduce(victim, other)
    await until(lambda: "Peer not authenticated" in other.log() + victim.log())
    peers = await victim.peers()
    assert [peer.is_connected for peer in peers] == [False]
    assert other.store.standin.sequence == 0
    await other.close()


async def test_a_proof_by_another_secret_is_refused(victim: Worker) -> None:
    async with stranger(victim) as client:
        machine = authentication(client, credentials("node-x", b"guess".ljust(32, b".")))
        machine._certificate_key = endpoint_public_key(b"guess".ljust(32, b"."), "victim")
        client.say(frame(machine.begin()[0]))
        (proof,) = machine.receive(await client.wait_frame())
        client.say(frame(proof))
        await until(lambda: client.closed)
        assert client.closed.error_code == 1
    assert (await rejections(victim))["wrong secret"] == 1


async def test_a_relayed_proof_is_refused(victim: Worker, tmp_path: Path) -> None:
    """A relay shows the honest node a certificate of its own, and passes on what both say."""
    honest = credentials("honest")
    async with stranger(victim) as client:
        relay_key = endpoint_private_key(b"relay", "relay").public_key().public_bytes_raw()
        machine = Authentication(
            honest,
            is_dialling=True,
            alpn=ALPN,
            certificate=b"the relay's certificate",
            certificate_key=relay_key,
            nonce=os.urandom(32),
            attempt=1,
        )
        client.say(frame(machine.begin()[0]))
        answer = await client.wait_frame()
        with pytest.raises(Exception, match="wrong certificate"):
            machine.receive(answer)
        # And were the honest one careless about certificates, its proof would not fit the relay's channel.
        machine = authentication(client, honest)
        machine._channel = bytes(32)
        async with stranger(victim) as second:
            second.say(frame(machine.begin()[0]))
            (proof,) = machine.receive(await second.wait_frame())
            second.say(frame(proof))
            await until(lambda: second.closed)
            assert second.closed.error_code == 1


async def test_a_replayed_proof_is_refused(victim: Worker) -> None:
    async with stranger(victim) as client:
        machine = authentication(client, credentials("honest"))
        (hello,) = machine.begin()
        client.say(frame(hello))
        (proof,) = machine.receive(await client.wait_frame())
    async with stranger(victim) as client:
        client.say(frame(hello))
        await client.wait_frame()
        client.say(frame(proof))
        await until(lambda: client.closed)
        assert client.closed.error_code == 1


async def test_an_unknown_alpn_is_refused_by_tls(victim: Worker) -> None:
    with pytest.raises(ConnectionError):
        async with stranger(victim, alpn="cap/blobs/1"):
            pass


async def test_questions_before_authentication_are_not_answered(victim: Worker) -> None:
    async with stranger(victim) as client:
        client.say(frame(wire.encode(wire.AskRange(1, 0, 65535, b""))))
        await until(lambda: client.closed)
        assert client.closed.error_code == 1
        assert client.received == {}


async def test_more_than_a_little_before_authentication_ends_it(victim: Worker) -> None:
    async with stranger(victim) as client:
        client.say((4000).to_bytes(4, "big") + bytes(100))
        client.say(bytes(5000), stream_id=4)
        await until(lambda: client.closed)
        assert client.closed.error_code == 1


async def test_a_frame_too_long_ends_the_connection(victim: Worker) -> None:
    async with stranger(victim) as client:
        await authenticate(client, credentials("member"))
        await victim.wait_connected(1)
        client.say(b"\x7f\xff\xff\xff")
        await until(lambda: client.closed)
        assert client.closed.error_code == 2
    assert (await rejections(victim))["frame too long"] == 1
    await victim.wait_connected(0)


@pytest.mark.parametrize(
    "content",
    [
        wire.encode(wire.AskTree(1, 9, (0,))),
        wire.encode(wire.AskBuckets(1, (65536,))),
        wire.encode(wire.AskRange(1, 9, 3, b"")),
        wire.encode(wire.Push(1, b"\1nonsense")),
        wire.encode(wire.Root(b"short", False)),
        wire.encode(wire.PeerHello(1, "again", bytes(16), bytes(32), 1)),
        b"\xc1",
    ],
)
async def test_a_member_that_breaks_the_protocol_is_let_go(victim: Worker, content: bytes) -> None:
    async with stranger(victim) as client:
        await authenticate(client, credentials("member"))
        client.say(frame(content))
        await until(lambda: client.closed)
        assert client.closed.error_code == 2


async def test_garbage_datagrams_do_nothing(victim: Worker, rng: random.Random) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(3000):
            first = rng.choice([0x00, 0x40, 0x80, 0xC0, 0xC3, 0xFF])
            version = rng.choice([b"\0\0\0\1", b"\0\0\0\0", rng.randbytes(4), b"\x6b\x33\x43\xcf"])
            data = bytes([first]) + version + b"\x08" + rng.randbytes(rng.choice([0, 5, 60, 1300]))
            sock.sendto(data, ("127.0.0.1", victim.port))
            if rng.random() < 0.05:
                await asyncio.sleep(0)
    await victim.peers()
    async with stranger(victim) as client:
        await authenticate(client, credentials("member"))


async def test_handshakes_that_pile_up_have_to_prove_their_address(victim: Worker) -> None:
    """Half-open handshakes from nowhere do not keep a member out."""
    from aioquic.quic.connection import QuicConnection

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(300):
            quic = QuicConnection(
                configuration=QuicConfiguration(alpn_protocols=[ALPN], server_name="peatnode")
            )
            quic.connect(("127.0.0.1", victim.port), now=0.0)
            for data, _ in quic.datagrams_to_send(now=0.0):
                sock.sendto(data, ("127.0.0.1", victim.port))
        await victim.peers()
    async with stranger(victim) as client:
        await authenticate(client, credentials("member"))
        await victim.wait_connected(1)


async def test_who_never_authenticates_is_closed(victim: Worker) -> None:
    async with stranger(victim) as client:
        client.say(frame(authentication(client, credentials("slow")).begin()[0]))
        await client.wait_frame()

        def is_closed() -> bool:
            client._quic.send_ping(0)  # it keeps its connection alive: idle is not what ends it
            client.transmit()
            return client.closed is not None

        await until(is_closed, pause=0.1)
        assert client.closed is not None
        assert client.closed.error_code == 1
        assert client.closed.reason_phrase == "authentication took too long"


async def test_refusals_make_one_line_a_minute(victim: Worker) -> None:
    """One member sends thousands of updates that the store refuses; once, that was 42 MB in 10 s."""
    names = [f"refused-{number}" for number in range(5000)]
    victim.store.standin.refused.update(("notes", name) for name in names)
    async with stranger(victim) as client:
        member = await insider(client)
        started = asyncio.get_running_loop().time()
        for number in range(25):
            some = names[number * 200 : number * 200 + 200]
            updates = [DocumentUpdate("notes", name, 1, False, 0.0, b"") for name in some]
            member.send(wire.Push(number, pack_updates(updates)))
            await member.wait(lambda message: isinstance(message, wire.Ack))
    minutes = int((asyncio.get_running_loop().time() - started) / 60.0) + 1
    lines = [line for line in victim.log().splitlines() if "Update refused" in line]
    assert 1 <= len(lines) <= minutes, f"{len(lines)} lines, {sum(map(len, lines))} bytes"


# --- members that obey no rule: each over real QUIC, beside an honest one


@pytest.fixture
async def honest(victim: Worker, tmp_path: Path) -> AsyncIterator[Worker]:
    """A second node, which is connected to the victim."""
    worker = Worker(tmp_path, "honest")
    await worker.open()
    introduce(victim, worker)
    await victim.wait_connected(1)
    yield worker
    assert worker.is_running, worker.log()
    await worker.close()


async def check_that_sync_goes_on(victim: Worker, honest: Worker) -> None:
    """What the honest node writes is at the victim soon."""
    for number in range(50):
        honest.store.write("notes", f"honest-{number}")
    keys = {("notes", f"honest-{number}") for number in range(50)}
    await until(lambda: keys <= victim.store.standin.documents.keys())
    peers = {peer.id: peer for peer in await victim.peers()}
    assert peers["honest"].is_connected


async def test_a_member_that_answers_nothing_stops_no_sync(victim: Worker, tmp_path: Path) -> None:
    """Its root is another one each time, and one empty answer a second goes on without end. The victim is pulling from
    it when an honest node comes, which has documents that only a pull brings."""
    honest = Worker(tmp_path, "honest")
    for number in range(50):
        honest.store.write("notes", f"before-{number}")
    async with stranger(victim) as client:
        member = await insider(client)
        answered = 0

        async def lie() -> None:
            nonlocal answered
            while True:
                member.send(wire.Root(os.urandom(16), False, 0, 2**40, True))
                for asked in member.take():
                    answered += 1
                    match asked:
                        case wire.AskTree(number, _, indexes):
                            member.send(wire.Tree(number, os.urandom(256 * len(indexes))))
                        case wire.AskBuckets(number, _):
                            member.send(wire.Buckets(number, ()))
                        case wire.AskUpdates(number, wanted):
                            empty = wire.Updates(number, len(wanted), b"", pack_updates([]))
                            member.send(empty)
                        case wire.AskRange(number, _, _, key):
                            after = (key or bytes(16))[:2] + os.urandom(14)
                            member.send(wire.Updates(number, 0, after, pack_updates([])))
                        case _:
                            answered -= 1
                await asyncio.sleep(1.0)

        lying = asyncio.create_task(lie())
        await until(lambda: answered)
        await honest.open()
        introduce(victim, honest)
        keys = {("notes", f"before-{number}") for number in range(50)}
        await until(lambda: keys <= victim.store.standin.documents.keys())
        await check_that_sync_goes_on(victim, honest)
        lying.cancel()
    await honest.close()


async def test_a_member_that_forges_neighbours_and_departures_hides_nobody(
    victim: Worker, honest: Worker
) -> None:
    instance = bytes.fromhex(honest.instance)
    made_up = tuple((f"made-up-{number}", os.urandom(16)) for number in range(200))
    async with stranger(victim) as client:
        member = await insider(client)
        await victim.wait_connected(2)
        member.send(wire.Neighbours(True, (("honest", instance), *made_up), ()))
        member.send(wire.Departed((("honest", instance, 2**50), ("victim", os.urandom(16), 2**50))))
        for _ in range(20):
            member.send(wire.Departed(tuple((*one, 2**50) for one in made_up)))
        await check_that_sync_goes_on(victim, honest)
        assert client.closed is None


async def test_a_member_that_says_all_it_may_at_any_rate_takes_no_memory(
    victim: Worker, honest: Worker
) -> None:
    async with stranger(victim) as client:
        member = await insider(client)
        await victim.wait_connected(2)
        before = resident_bytes(victim.pid)
        for number in range(200):
            for _ in range(20):
                member.send(wire.Root(os.urandom(16), False))
                member.send(wire.Ack(number, True))
            member.send(wire.Neighbours(True, (("honest", os.urandom(16)),) * 300, ()))
            member.send(wire.AskRange(number, 0, 65535, b""))
            member.send(wire.AskTree(number, 0, (0,) * 200))
            await asyncio.sleep(0.005)  # what has been said is sent
            member.take()
            if client.closed:
                break
        await check_that_sync_goes_on(victim, honest)
        assert resident_bytes(victim.pid) - before < 48 * 1024 * 1024


def resident_bytes(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
