"""Whatever members send, the sync worker stays small: the highest memory of a real process, with a real QUIC peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgpack
import pytest
import zstandard

from peatnode.documents.limits import MAX_STATE_BYTES
from peatnode.ipc.messages import Message
from peatnode.model.documents import DocumentUpdate, Outcome
from peatnode.model.sync import AppliedReply, ApplyUpdates
from peatnode.protocol.wire import messages as wire
from peatnode.protocol.wire.batches import pack_updates
from tests.support.insider import Insider, insider, stranger
from tests.support.sync_mesh import FakeStore, Worker
from tests.support.waiting import until

MOST = 200 * 2**20
PUSHES = 5
MIB = 2**20


class TakesAll(FakeStore):
    """It notes how much it is given, and keeps nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sizes: list[int] = []

    def _answer(self, message: Message) -> Message:
        self.asked.clear()
        if isinstance(message, ApplyUpdates):
            count = len(message.updates)
            self.sizes.append(sum(len(update.update) for update in message.updates))
            return AppliedReply((Outcome.APPLIED,) * count, ("",) * count, 1)
        return super()._answer(message)


@asynccontextmanager
async def member_and_victim(directory: Path) -> AsyncIterator[tuple[Insider, Worker, TakesAll]]:
    worker = Worker(directory, "victim")
    worker.store = store = TakesAll(worker.run_dir / "store.sock")
    await worker.open()
    await worker.peers()
    async with stranger(worker) as client:
        member = await insider(client)
        await worker.wait_connected(1)
        yield member, worker, store
    assert worker.is_running, worker.log()
    assert "ERROR" not in worker.log()
    await worker.close()


def highest_memory(worker: Worker) -> int:
    """Resident memory at its peak since the process began."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


async def acks(member: Insider, count: int) -> list[bool]:
    found: list[bool] = []

    def note() -> bool:
        found.extend(m.is_complete for m in member.take() if isinstance(m, wire.Ack))
        return len(found) >= count or member.client.closed is not None

    await until(note, 60.0)
    assert member.client.closed is None
    return found


async def test_small_pushes_that_unpack_to_forty_mebibytes(tmp_path: Path) -> None:
    """Each is what an honest node may send, too: one document at its limit. All of them are applied."""
    large = DocumentUpdate("notes", "large", 1, False, 0.0, bytes(39 * MIB))
    batch = pack_updates((large,))
    assert len(batch) < 2000
    async with member_and_victim(tmp_path) as (member, worker, store):
        for number in range(1, PUSHES + 1):
            member.send(wire.Push(number, batch))
        assert await acks(member, PUSHES) == [True] * PUSHES
        assert store.sizes == [39 * MIB] * PUSHES
        assert highest_memory(worker) < MOST, highest_memory(worker) // MIB


async def test_a_document_that_cannot_be_compressed_passes(tmp_path: Path) -> None:
    large = DocumentUpdate("notes", "large", 1, False, 0.0, bytes(MAX_STATE_BYTES))
    async with member_and_victim(tmp_path) as (member, worker, store):
        member.send(wire.Push(1, b"\0" + msgpack.packb([(*fields(large),)])))
        assert await acks(member, 1) == [True]
        assert store.sizes == [MAX_STATE_BYTES]
        assert highest_memory(worker) < MOST, highest_memory(worker) // MIB


def fields(update: DocumentUpdate) -> tuple[object, ...]:
    return "notes", update.id, 1, False, 0.0, update.update


def array(count: int, item: bytes) -> bytes:
    return b"\xdc" + count.to_bytes(2, "big") + item * count


@pytest.mark.parametrize(
    "plain",
    [
        array(300, array(65_000, b"\x91\xc0")),
        array(200, array(65_000, b"\xa2no")),
        array(1, b"\x9f\xa0\xa0\x01\xc2\x00\xc4\x00" + array(200, array(65_000, b"\xa2no")) * 1),
    ],
    ids=["arrays", "texts", "fields"],
)
async def test_a_batch_of_many_small_items_ends_the_connection(
    tmp_path: Path, plain: bytes
) -> None:
    """Each of them takes 50 bytes and more as an object."""
    batch = b"\1" + zstandard.ZstdCompressor().compress(plain)
    async with member_and_victim(tmp_path) as (member, worker, _):
        member.send(wire.Push(1, batch))
        await until(lambda: member.client.closed)
        assert member.client.closed is not None
        assert member.client.closed.error_code == 2
        assert highest_memory(worker) < MOST, highest_memory(worker) // MIB
        await asyncio.wait_for(worker.peers(), 10.0)
