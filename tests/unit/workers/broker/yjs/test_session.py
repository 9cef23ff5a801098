import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peatnode.ipc.messages import FeedGap, Outcome
from tests.support.waiting import until
from tests.support.yjs_store import Stage, staged
from workers.broker.yjs.awareness import LEFT, ClientState, encode_states
from workers.broker.yjs.rooms import KEEP_ALIVE, QUIET_SWEEPS, SWEEP_SECONDS
from workers.broker.yjs.wire import EMPTY_UPDATE, encode_awareness, encode_update

UPDATE = bytes((1, 1, 9, 0, 1, 1, 1, 97, 1, 120, 0))
ANNA = ClientState(7, 1, b'"Anna"')


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


async def test_step_1_is_answered_by_step_2_and_ours(stage: Stage) -> None:
    client = await stage.join()
    assert client.received == [bytes((0, 1, 2)) + EMPTY_UPDATE, bytes((0, 0, 1, 0))]
    client.say(0, 0, 1, 0)
    await until(lambda: len(client.received) == 3)
    assert client.received[2][1] == 1, "a later step 1 is answered by step 2 alone"


async def test_a_change_goes_to_all_but_its_author_once_it_is_on_disk(stage: Stage) -> None:
    author, other = await stage.join(), await stage.join()
    author.say(*encode_update(UPDATE))
    await until(lambda: other.received[2:] == [encode_update(UPDATE)])
    assert stage.behind.applied == [UPDATE]
    assert len(author.received) == 2


async def test_after_a_hole_in_the_feed_the_author_hears_its_change_too(stage: Stage) -> None:
    """The last change then stands for those before it, which others made."""
    author, other = await stage.join(), await stage.join()
    author.say(*encode_update(UPDATE))
    await until(lambda: len(other.received) == 3)
    origin = next(iter(stage.rooms._rooms.values())).members
    mine = {member.origin for member in origin}
    stage.behind.change(b"whole", origin=min(mine), skip=3)
    await until(lambda: len(other.received) == 4 and len(author.received) == 3)
    stage.behind.change(b"just this", origin=min(mine))
    await until(lambda: len(other.received) + len(author.received) == 8)


async def test_many_changes_are_written_in_few_batches(stage: Stage) -> None:
    client = await stage.join()
    for _ in range(200):
        client.say(*encode_update(UPDATE))
    client.leave()
    await until(lambda: len(stage.behind.applied) == 200)
    assert len(stage.behind.batches) < 100
    await stage.sessions[0]


async def test_a_reader_is_answered_and_its_changes_are_dropped(stage: Stage) -> None:
    reader = await stage.join(may_write=False)
    assert reader.received[0][:2] == bytes((2, 0)), "it is told"
    reader.say(*encode_update(UPDATE))
    reader.say(0, 0, 1, 0)
    await until(lambda: len(reader.received) == 4)
    assert stage.behind.applied == []
    stage.behind.change(UPDATE)
    await until(lambda: len(reader.received) == 5)


@pytest.mark.parametrize(
    ("outcome", "code"), [(Outcome.REFUSED, 4422), (Outcome.STALE, 4410)], ids=["refused", "stale"]
)
async def test_what_cannot_be_written_ends_the_session_for_good(
    stage: Stage, outcome: Outcome, code: int
) -> None:
    stage.behind.outcome = outcome
    client, other = await stage.join(), await stage.join()
    client.say(*encode_update(UPDATE))
    await until(lambda: client.closed is not None)
    assert client.closed is not None
    assert client.closed[0] == code
    assert other.closed is None


async def test_after_a_gap_the_client_is_asked_again(stage: Stage) -> None:
    stage.behind.outcome = Outcome.GAP
    client = await stage.join()
    client.say(*encode_update(UPDATE))
    await until(lambda: len(client.received) == 3)
    assert client.received[2] == bytes((0, 0, 1, 0))


@pytest.mark.parametrize(
    "message", [b"", b"\x00\x09\x00", b"\x00\x00\xc8", b"text", b"\x00\x00\x01\x05"]
)
async def test_a_bad_message_ends_one_session(stage: Stage, message: bytes) -> None:
    good, bad = await stage.join(), await stage.join()
    bad.say(*message)
    await until(lambda: bad.closed is not None)
    assert bad.closed is not None
    assert bad.closed[0] == 4400
    assert good.closed is None


async def test_a_deletion_ends_all_sessions_and_the_next_get_a_new_room(stage: Stage) -> None:
    client = await stage.join()
    stage.behind.change(b"", action="deleted")
    stage.behind.incarnation = 2
    await until(lambda: client.closed is not None)
    assert client.closed is not None
    assert client.closed[0] == 4410
    stage.behind.followers.clear()
    fresh = await stage.join()
    assert fresh.closed is None
    assert len(fresh.received) == 2


async def test_who_holds_what_was_deleted_is_refused(stage: Stage) -> None:
    stage.behind.ended = bytes((1, 9, 5))
    fresh = await stage.join()
    assert fresh.closed is None
    late = await _join_with(stage, bytes((2, 9, 1, 3, 1)))
    assert late[0] == 4410


async def test_a_copy_that_is_loaded_after_the_first_sync_is_noticed_at_the_next(
    stage: Stage,
) -> None:
    stage.behind.ended = bytes((1, 9, 5))
    client, other = await stage.join(), await stage.join()
    vector = bytes((2, 9, 1, 3, 1))
    client.say(0, 0, len(vector), *vector)
    await until(lambda: client.closed is not None)
    assert client.closed is not None
    assert client.closed[0] == 4410
    assert other.closed is None


async def test_ended_clocks_that_are_in_the_document_again_are_no_reason(stage: Stage) -> None:
    """A peer may have brought them back: then all clients of the document have them."""
    stage.behind.ended, stage.behind.state_vector = bytes((1, 9, 5)), bytes((1, 9, 2))
    client = await stage.join()
    for known in (1, 2):
        client.say(0, 0, 3, 1, 9, known)
        await until(lambda: len(client.received) == 2 + known)  # noqa: B023
    assert client.closed is None
    client.say(0, 0, 3, 1, 9, 3)
    await until(lambda: client.closed is not None)


async def _join_with(stage: Stage, vector: bytes) -> tuple[int, str]:
    from tests.support.yjs_store import FakeClient
    from workers.broker.yjs.session import YjsSession

    client = FakeClient()
    session = YjsSession(stage.store, stage.rooms, client, True)
    client.say(0, 0, len(vector), *vector)
    await asyncio.wait_for(session.serve("n", "d"), 5)
    assert client.closed is not None
    return client.closed


async def test_a_room_that_the_feed_has_not_ended_yet_is_left_for_the_new_one(
    stage: Stage,
) -> None:
    old = await stage.join()
    stage.behind.incarnation = 2  # deleted and created again; the feed has not reported it yet
    fresh = await stage.join()
    assert fresh.closed is not None
    assert fresh.closed[0] == 1012, "it comes again at once, and finds the new room"
    await until(lambda: old.closed is not None)
    assert old.closed is not None
    assert old.closed[0] == 4410


async def test_lost_history_makes_all_resync(stage: Stage) -> None:
    client = await stage.join()
    stage.behind.tell(FeedGap(0, 50))
    await until(lambda: client.closed is not None)
    assert client.closed is not None
    assert client.closed[0] == 1012


@pytest.mark.parametrize("sequence", [1, 2, 7], ids=["behind", "equal", "passed"])
async def test_a_store_that_lost_its_files_makes_all_resync(stage: Stage, sequence: int) -> None:
    stage.behind.sequence = 2
    client = await stage.join()
    stage.behind.generation, stage.behind.sequence = 2, sequence
    stage.behind.disconnect()
    await until(lambda: client.closed is not None)
    assert client.closed is not None
    assert client.closed[0] == 1012


async def test_a_store_that_only_restarted_keeps_the_room(stage: Stage) -> None:
    client = await stage.join()
    stage.behind.change(b"before")
    await until(lambda: len(client.received) == 3)
    stage.behind.disconnect()
    await until(lambda: stage.behind.follows == [0, 1])
    stage.behind.change(b"after")
    await until(lambda: len(client.received) == 4)
    assert client.closed is None


async def test_a_slow_client_is_closed_and_holds_up_nobody(stage: Stage) -> None:
    slow, quick = await stage.join(), await stage.join()
    slow.may_read.clear()
    for _ in range(6):
        stage.behind.change(bytes(1024 * 1024))
    await until(lambda: len(quick.received) == 8)
    assert slow.closed is None
    slow.may_read.set()
    await until(lambda: slow.closed is not None)
    assert slow.closed is not None
    assert slow.closed[0] == 1013
    assert len(slow.received) < 5


async def test_awareness_goes_to_the_room_and_to_peers_once(stage: Stage) -> None:
    anna, other = await stage.join(), await stage.join()
    payload = encode_states([ANNA])
    for client in (anna, other):  # clients send back what they hear
        client.say(*encode_awareness(payload))
    await until(lambda: other.received[2:] == [encode_awareness(payload)])
    await until(lambda: stage.behind.published == [payload])
    other.leave()
    await stage.sessions[1]
    assert stage.behind.published == [payload], "who echoed her does not take her along"
    anna.leave()
    gone = encode_states([ClientState(7, 1, LEFT)])
    await until(lambda: stage.behind.published == [payload, gone])


async def test_awareness_of_peers_comes_to_the_room_and_to_who_comes_later(stage: Stage) -> None:
    client = await stage.join()
    await until(lambda: bool(stage.behind.listeners))
    payload = encode_states([ANNA])
    stage.behind.hear(b"\xff")
    stage.behind.hear(payload)
    await until(lambda: client.received[2:] == [encode_awareness(payload)])
    late = await stage.join()
    assert late.received[0] == encode_awareness(payload)


async def test_the_node_stops(stage: Stage) -> None:
    client = await stage.join()
    stage.rooms.close()
    await until(lambda: client.closed is not None)
    assert client.closed is not None
    assert client.closed[0] == 1012


async def test_a_client_hears_of_us_before_it_takes_the_connection_for_dead(stage: Stage) -> None:
    """y-websocket reconnects after 30 s without any message."""
    client = await stage.join()
    for _ in range(QUIET_SWEEPS):
        assert len(client.received) == 2
        stage.rooms._sweep()
    await until(lambda: client.received[2:] == [KEEP_ALIVE])
    assert QUIET_SWEEPS * SWEEP_SECONDS < 20


async def test_nothing_is_left_of_those_who_have_gone(stage: Stage) -> None:
    for _ in range(2):
        clients = [await stage.join() for _ in range(3)]
        assert stage.rooms.member_count == 3
        for client in clients:
            client.leave()
        await asyncio.gather(*stage.sessions)
        assert stage.rooms.member_count == 0
        assert stage.rooms._following is None
        stage.behind.followers.clear()
