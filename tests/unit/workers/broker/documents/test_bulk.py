import asyncio

from workers.broker.documents.bulk import PendingAnswers
from workers.broker.http.limits import BrokerLimits


async def test_lines_in_memory_are_bounded_in_number_and_bytes() -> None:
    pending = PendingAnswers(BrokerLimits(bulk_writes=3, bulk_bytes=1000))
    held = asyncio.Event()

    async def write(answer: bytes) -> bytes:
        await held.wait()
        return answer

    pending.add(write(b"a"), 600)
    assert not pending.is_full
    pending.add(write(b"b"), 400)
    assert pending.is_full, "1000 bytes"
    held.set()
    assert await pending.take() == b"ab"
    assert not pending
    for name in (b"c", b"d", b"e"):
        assert not pending.is_full
        pending.add(write(name), 1)
    assert pending.is_full, "3 lines"
    pending.cancel()


async def test_answers_are_in_the_order_of_the_lines() -> None:
    pending = PendingAnswers(BrokerLimits())
    first = asyncio.get_running_loop().create_future()

    async def wait_first() -> bytes:
        return bytes(await first)

    async def at_once() -> bytes:
        return b"2"

    pending.add(wait_first(), 1)
    pending.add(at_once(), 1)
    await asyncio.sleep(0)
    assert not pending.has_answer
    first.set_result(b"1")
    assert await pending.take() == b"12"
