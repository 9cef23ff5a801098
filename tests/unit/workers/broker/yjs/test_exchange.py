"""Awareness between the clients of a process and the other nodes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peatnode.model.peer_limits import (
    CLIENT_AWARENESS_RATE,
    MAX_AWARENESS_BYTES,
    MAX_AWARENESS_STATE_BYTES,
    MIN_STATE_BYTES,
    RECEIVED_AWARENESS_RATE,
)
from tests.support.waiting import until
from tests.support.yjs_store import FakeClient, Stage, staged
from workers.broker.yjs.awareness import LEFT, ClientState, decode_states, encode_states
from workers.broker.yjs.wire import AwarenessMessage, decode, encode_awareness

ANNA = ClientState(7, 1, b'"Anna"')


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as made:
        yield made


def say(client: FakeClient, *states: ClientState) -> None:
    client.say(*encode_awareness(encode_states(states)))


def seen(client: FakeClient) -> dict[int, ClientState]:
    messages = map(decode, client.received)
    payloads = [m.payload for m in messages if isinstance(m, AwarenessMessage)]
    return {state.client: state for payload in payloads for state in decode_states(payload)}


def published(stage: Stage) -> dict[int, ClientState]:
    return {s.client: s for payload in stage.behind.published for s in decode_states(payload)}


async def test_a_reader_says_nothing_and_sees_the_others(stage: Stage) -> None:
    writer, reader = await stage.join(), await stage.join(may_write=False)
    say(reader, ANNA)
    reader.say(1, 1, 255)
    await until(lambda: stage.dropped == ["reader", "reader"])
    say(writer, ClientState(8, 1, b'"Bo"'))
    await until(lambda: seen(reader) == {8: ClientState(8, 1, b'"Bo"')})
    assert reader.closed is None
    assert list(published(stage)) == [8]
    reader.leave()
    await stage.sessions[1]
    assert seen(writer) == {}


async def test_a_state_that_peers_would_not_take_is_dropped_and_the_others_are_not(
    stage: Stage,
) -> None:
    client, other = await stage.join(), await stage.join()
    say(client, ClientState(9, 1, b'"' + b"x" * MAX_AWARENESS_STATE_BYTES + b'"'), ANNA)
    await until(lambda: seen(other) == {7: ANNA})
    assert stage.dropped == ["too_large"]
    assert client.closed is None


async def test_many_states_are_published_in_messages_that_peers_accept(stage: Stage) -> None:
    client, other = await stage.join(), await stage.join()
    states = [ClientState(n, 1, b'"' + b"x" * 20_000 + b'"') for n in range(20)]
    say(client, *states)
    await until(lambda: len(published(stage)) == 20)
    assert all(len(payload) <= MAX_AWARENESS_BYTES for payload in stage.behind.published)
    assert published(stage) == seen(other) == {state.client: state for state in states}


async def test_who_sends_too_fast_stays_and_the_newest_state_wins(stage: Stage) -> None:
    hog, honest = await stage.join(), await stage.join()
    at_once = int(CLIENT_AWARENESS_RATE.messages * CLIENT_AWARENESS_RATE.burst_seconds)
    last = ClientState(7, at_once + 200, b'"last"')
    for clock in range(1, last.clock):
        say(hog, ClientState(7, clock, b"1"))
    say(hog, last)
    say(honest, ClientState(8, 1, b'"Bo"'))
    await until(lambda: 8 in published(stage))
    await until(lambda: published(stage)[7] == last == seen(honest)[7])
    assert 0 < stage.dropped.count("too_fast") <= 201
    assert len(stage.behind.published) <= at_once + 200
    assert (hog.closed, honest.closed) == (None, None)


async def test_who_leaves_while_it_is_held_back_is_gone(stage: Stage) -> None:
    hog, honest = await stage.join(), await stage.join()
    for clock in range(1, 2500):
        say(hog, ClientState(7, clock, b"1"))
    await until(lambda: "too_fast" in stage.dropped)
    hog.leave()
    await stage.sessions[0]
    await until(lambda: published(stage)[7].state == LEFT == seen(honest)[7].state)


async def test_nobody_speaks_for_another_who_is_there(stage: Stage) -> None:
    anna, other = await stage.join(), await stage.join()
    await until(lambda: bool(stage.behind.listeners))
    say(anna, ANNA)
    await until(lambda: seen(other) == {7: ANNA})
    say(other, ClientState(7, 2, b'"not Anna"'))
    say(other, ClientState(7, 1, LEFT))
    stage.behind.hear(encode_states([ClientState(7, 9, b'"nor that"'), ClientState(7, 9, LEFT)]))
    await until(lambda: stage.dropped == ["not_own"] * 4)
    other.leave()
    await stage.sessions[1]
    late = await stage.join()
    assert seen(late) == {7: ANNA}
    assert published(stage) == {7: ANNA}


async def test_a_peer_that_sends_very_many_small_states_has_a_rate(stage: Stage) -> None:
    """Nine bytes of one take as long to read as a cursor."""
    other = await stage.join()
    many = 4000
    payload = encode_states([ClientState(n, 1, b"1") for n in range(many)])
    rate = RECEIVED_AWARENESS_RATE
    count = int(rate.bytes * rate.burst_seconds / (many * MIN_STATE_BYTES))
    assert count * len(payload) < rate.bytes * rate.burst_seconds / 10
    for _ in range(2 * count):  # what it takes to read them is less than the rate gives back
        stage.behind.hear(payload)
    await until(lambda: "too_fast" in stage.dropped)
    assert len(seen(other)) == many
    assert other.closed is None
