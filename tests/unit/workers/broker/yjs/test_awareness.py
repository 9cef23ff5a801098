import pytest

from peatnode.documents.yjs.lib0 import var_string, var_uint
from peatnode.errors import MalformedUpdate
from workers.broker.yjs.awareness import (
    EXPIRY_SECONDS,
    LEFT,
    MAX_STATE_BYTES,
    AwarenessStates,
    ClientState,
    decode_states,
    encode_states,
)

ANNA = ClientState(7, 1, '{"name":"Anna"}')


def test_what_is_written_is_read() -> None:
    states = [ANNA, ClientState(2**52, 0, LEFT)]
    assert decode_states(encode_states(states)) == states


def test_only_a_higher_clock_is_news() -> None:
    states = AwarenessStates()
    assert states.apply([ANNA], 0) == [ANNA]
    assert states.apply([ANNA], 1) == []
    older = ClientState(7, 0, '{"name":"older"}')
    newer = ClientState(7, 2, '{"name":"newer"}')
    assert states.apply([older, newer], 1) == [newer]
    assert states.present() == [newer]


def test_a_goodbye_under_the_same_clock_counts() -> None:
    states = AwarenessStates()
    states.apply([ANNA], 0)
    goodbye = ClientState(7, 1, LEFT)
    assert states.apply([goodbye], 1) == [goodbye]
    assert states.apply([goodbye], 1) == []
    assert states.present() == []


def test_who_comes_back_under_the_same_clock_is_told_of_the_goodbye() -> None:
    states = AwarenessStates()
    states.apply([ANNA], 0)
    assert states.removals_of([ANNA]) == []
    states.remove({7}, 1)
    assert states.removals_of([ANNA]) == [ClientState(7, 1, LEFT)]
    assert states.removals_of([ClientState(7, 1, LEFT), ClientState(7, 2, '"Anna"')]) == []


def test_a_connection_that_ends_takes_its_clients_along() -> None:
    states = AwarenessStates()
    states.apply([ANNA], 0)
    assert states.remove({7, 8}, 1) == [ClientState(7, 1, LEFT)]


def test_the_silent_are_forgotten_and_their_memory_is_freed() -> None:
    states = AwarenessStates()
    states.apply([ANNA], 0)
    assert states.remove_expired(EXPIRY_SECONDS - 1) == []
    assert states.remove_expired(EXPIRY_SECONDS) == [ClientState(7, 1, LEFT)]
    assert states.apply([ANNA], EXPIRY_SECONDS) == [], "a late copy brings nobody back"
    assert states.remove_expired(2 * EXPIRY_SECONDS) == []
    assert states.is_empty


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x01",
        b"\x01\x07\x01",
        b"\x00\x00",
        var_uint(10**6),
        b"\x01\x07\x01" + var_string("x" * (MAX_STATE_BYTES + 1)),
        b"\x01\x07\x01\x02\xff\xfe",
    ],
)
def test_malformed_states_are_refused(payload: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        decode_states(payload)
