"""The messages of awareness: states of Yjs clients, each with a clock. No I/O.

Source: https://github.com/yjs/y-protocols/blob/master/awareness.js.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from peatnode.documents.yjs.lib0 import json_depth, read_chunk, read_var_uint, var_uint
from peatnode.errors import MalformedUpdate
from peatnode.model.peer_limits import MAX_AWARENESS_BYTES, MAX_AWARENESS_DEPTH, MAX_STATES

LEFT = b"null"
"""The state of a client that has left: JSON null."""

EMPTY_AWARENESS = b"\x00"
"""A message without states."""

_COUNT_BYTES = len(var_uint(MAX_STATES))


@dataclass(frozen=True, slots=True)
class ClientState:
    """The state of one Yjs client."""

    client: int
    clock: int
    state: bytes
    """JSON; `null`: the client has left."""


def decode_states(payload: bytes) -> list[ClientState]:
    """The states in a message. Raises MalformedUpdate. `check_state` is left to the reader: most states are known."""
    try:
        return _decode_states(payload)
    except IndexError:
        raise MalformedUpdate("the awareness message is cut off", len(payload)) from None


def _decode_states(payload: bytes) -> list[ClientState]:
    count, at = read_var_uint(payload, 0)
    if count > MAX_STATES:
        raise MalformedUpdate(f"more than {MAX_STATES} clients in one awareness message", 0)
    states = []
    for _ in range(count):
        client, at = read_var_uint(payload, at)
        clock, at = read_var_uint(payload, at)
        state, at = read_chunk(payload, at)
        states.append(ClientState(client, clock, state))
    if at != len(payload):
        raise MalformedUpdate("there are bytes after the awareness message", at)
    return states


def check_state(state: bytes) -> None:
    """Raises MalformedUpdate for what is not JSON that every client can parse.

    Accepts what JSON.parse accepts: also lone surrogates, which orjson refuses.
    """
    if (
        state.count(b"[") + state.count(b"{") > MAX_AWARENESS_DEPTH
        and json_depth(state) > MAX_AWARENESS_DEPTH
    ):
        raise MalformedUpdate("the state of a client nests too deep", 0)
    try:
        json.loads(state.decode(), parse_constant=_refuse_constant)
    except ValueError:
        raise MalformedUpdate("the state of a client is not JSON", 0) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def encode_states(states: Iterable[ClientState]) -> bytes:
    """The payload of an awareness message."""
    return _joined([_encoded(state) for state in states])


def encode_parts(states: Iterable[ClientState]) -> Iterator[bytes]:
    """Payloads that peers accept. Each state must fit in one."""
    part: list[bytes] = []
    size = _COUNT_BYTES
    for state in states:
        encoded = _encoded(state)
        if part and size + len(encoded) > MAX_AWARENESS_BYTES:
            yield _joined(part)
            part, size = [], _COUNT_BYTES
        part.append(encoded)
        size += len(encoded)
    if part:
        yield _joined(part)


def _encoded(state: ClientState) -> bytes:
    numbers = var_uint(state.client) + var_uint(state.clock)
    return numbers + var_uint(len(state.state)) + state.state


def _joined(encoded: list[bytes]) -> bytes:
    return var_uint(len(encoded)) + b"".join(encoded)
