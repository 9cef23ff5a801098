import asyncio

from workers.broker.yjs.outbox import CANNOT_KEEP_UP, DELETED, MAX_WAITING_BYTES, RESYNC, Outbox


async def test_messages_leave_in_order_and_a_close_is_the_last() -> None:
    outbox = Outbox()
    outbox.put(b"one")
    outbox.put(b"two")
    outbox.close(DELETED)
    outbox.close(RESYNC)
    outbox.put(b"too late")
    assert [await outbox.next() for _ in range(4)] == [b"one", b"two", DELETED, DELETED]


async def test_who_reads_too_slowly_is_closed_without_the_backlog() -> None:
    outbox = Outbox()
    for _ in range(6):
        outbox.put(bytes(MAX_WAITING_BYTES // 4))
    assert await outbox.next() == CANNOT_KEEP_UP


async def test_one_large_change_is_no_backlog() -> None:
    outbox = Outbox()
    outbox.put(bytes(2 * MAX_WAITING_BYTES))
    assert isinstance(await outbox.next(), bytes)


async def test_a_long_answer_is_no_backlog() -> None:
    """A document beyond the bound can be opened, while others type in it."""
    outbox = Outbox()
    outbox.put_answer(bytes(2 * MAX_WAITING_BYTES))
    outbox.put(b"typed")
    assert len(await outbox.next()) == 2 * MAX_WAITING_BYTES  # type: ignore[arg-type]
    assert await outbox.next() == b"typed"


async def test_waiting_for_it_to_be_empty_ends_when_the_last_message_has_left() -> None:
    outbox = Outbox()
    await outbox.wait_empty()
    outbox.put_answer(b"answer")
    waiting = asyncio.create_task(outbox.wait_empty())
    assert await outbox.next() == b"answer"
    assert not waiting.done()
    sending = asyncio.create_task(outbox.next())
    await waiting
    outbox.close(RESYNC)
    assert await sending == RESYNC


async def test_a_close_ends_all_waiting() -> None:
    outbox = Outbox()
    outbox.put_answer(b"answer")
    waiting = asyncio.create_task(outbox.wait_empty())
    outbox.close(RESYNC)
    await waiting
