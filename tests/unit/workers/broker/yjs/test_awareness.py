import random

import pytest

from peatnode.documents.yjs.lib0 import MAX_SAFE_INTEGER, var_uint
from peatnode.errors import MalformedUpdate
from peatnode.model.peer_limits import (
    MAX_AWARENESS_BYTES,
    MAX_AWARENESS_DEPTH,
    MAX_AWARENESS_STATE_BYTES,
    MAX_STATES,
)
from workers.broker.yjs.awareness import (
    LEFT,
    ClientState,
    check_state,
    decode_states,
    encode_parts,
    encode_states,
)

ANNA = ClientState(7, 1, b'{"name":"Anna"}')


def test_what_is_written_is_read() -> None:
    states = [ANNA, ClientState(2**52, 0, LEFT)]
    assert decode_states(encode_states(states)) == states


@pytest.mark.parametrize(
    "payload", [b"", b"\x01", b"\x01\x07\x01", b"\x00\x00", var_uint(10**6), b"\x01\x07\x01\x05abc"]
)
def test_malformed_messages_are_refused(payload: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        decode_states(payload)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"NaN",
        b'{"a":Infinity}',
        b"[" * (MAX_AWARENESS_DEPTH + 1) + b"]" * (MAX_AWARENESS_DEPTH + 1),
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_states_on_which_other_clients_fail_are_refused(state: bytes) -> None:
    with pytest.raises(MalformedUpdate):
        check_state(state)


@pytest.mark.parametrize(
    "state",
    [
        LEFT,
        b'"\\ud800"',
        b'"' + b"[" * 1000 + b'"',
        b"[" * MAX_AWARENESS_DEPTH + b"]" * MAX_AWARENESS_DEPTH,
        '{"name": "Zoë 🙂"}'.encode(),
    ],
)
def test_states_that_a_browser_parses_are_not(state: bytes) -> None:
    check_state(state)


def test_parts_fit_in_the_messages_of_peers_and_lose_nothing(rng: random.Random) -> None:
    largest = MAX_AWARENESS_STATE_BYTES
    for _ in range(50):
        sizes = (0, 1, 200, largest // 3, largest - 1, largest)
        states = [
            ClientState(MAX_SAFE_INTEGER - n, MAX_SAFE_INTEGER, bytes(rng.choice(sizes)))
            for n in range(rng.randrange(40))
        ]
        parts = list(encode_parts(states))
        assert all(len(part) <= MAX_AWARENESS_BYTES for part in parts)
        assert [state for part in parts for state in decode_states(part)] == states
    many = [ClientState(n, 1, b"1") for n in range(MAX_STATES)]
    assert list(encode_parts(many)) == [encode_states(many)]
