"""The awareness of a document: a state for each Yjs client, of which the highest clock wins. No I/O.

Source: https://github.com/yjs/y-protocols/blob/master/awareness.js. Time is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from peatnode.documents.yjs.lib0 import read_string, read_var_uint, var_string, var_uint
from peatnode.errors import MalformedUpdate

EXPIRY_SECONDS = 30.0
"""A state that its client has not renewed for this long is removed (as in y-protocols)."""

MAX_STATES = 4096
"""Maximum number of clients in a document, and in a message."""

MAX_STATE_BYTES = 64 * 1024
"""Maximum size of the JSON of one state."""

LEFT = "null"
"""The state of a client that has left: JSON null."""

EMPTY_AWARENESS = b"\x00"
"""A message without states."""


@dataclass(frozen=True, slots=True)
class ClientState:
    """The state of one Yjs client."""

    client: int
    clock: int
    state: str
    """JSON; `null`: the client has left."""


def decode_states(payload: bytes) -> list[ClientState]:
    """The states in a message. Raises MalformedUpdate, also for JSON on which other clients would fail."""
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
        start = at
        state, at = read_string(payload, at)
        if at - start > MAX_STATE_BYTES:
            raise MalformedUpdate(
                f"the state of a client is larger than {MAX_STATE_BYTES} bytes", start
            )
        _check_json(state, start)
        states.append(ClientState(client, clock, state))
    if at != len(payload):
        raise MalformedUpdate("there are bytes after the awareness message", at)
    return states


def _check_json(text: str, at: int) -> None:
    """Accepts the JSON that JSON.parse accepts, with lone surrogates, which orjson refuses."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedUpdate("the state of a client is not JSON", at) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def encode_states(states: Iterable[ClientState]) -> bytes:
    """The payload of an awareness message."""
    listed = list(states)
    parts = [var_uint(len(listed))]
    for state in listed:
        parts += (var_uint(state.client), var_uint(state.clock), var_string(state.state))
    return b"".join(parts)


class AwarenessStates:
    """The states of the clients of one document."""

    def __init__(self) -> None:
        self._states: dict[int, ClientState] = {}
        self._seen: dict[int, float] = {}

    def apply(self, states: Iterable[ClientState], now: float) -> list[ClientState]:
        """Applies states. Returns those that are new; the others were known or are older."""
        return [state for state in states if self._apply_one(state, now)]

    def _apply_one(self, new: ClientState, now: float) -> bool:
        known = self._states.get(new.client)
        if known is None:
            if new.state == LEFT or len(self._states) >= MAX_STATES:
                return False
        elif new.clock < known.clock or (
            new.clock == known.clock and (new.state != LEFT or known.state == LEFT)
        ):
            return False
        self._states[new.client] = new
        self._seen[new.client] = now
        return True

    def remove(self, clients: Iterable[int], now: float) -> list[ClientState]:
        """Removes clients whose connection has ended. Returns the states to send to the others."""
        present = [self._states[client] for client in clients if client in self._states]
        leaving = [ClientState(known.client, known.clock, LEFT) for known in present]
        return self.apply(leaving, now)

    def removals_of(self, states: Iterable[ClientState]) -> list[ClientState]:
        """The removals that overrule some of these states. Their client must receive them.

        A client that reconnects repeats its state with its old clock, which is also that of its removal.
        When it receives the removal, it sends its state again with a higher clock.
        """
        known = [self._states.get(state.client) for state in states if state.state != LEFT]
        clocks = {state.client: state.clock for state in states}
        return [
            state
            for state in known
            if state is not None and state.state == LEFT and state.clock >= clocks[state.client]
        ]

    def remove_expired(self, now: float) -> list[ClientState]:
        """Removes the states that have not been renewed for `EXPIRY_SECONDS`. Returns the states to send.

        A removal is kept for the same time again, so that a delayed copy of a state restores no client.
        """
        expired = [client for client, seen in self._seen.items() if now - seen >= EXPIRY_SECONDS]
        for client in expired:
            if self._states[client].state == LEFT:
                del self._states[client], self._seen[client]
        return self.remove(expired, now)

    def present(self) -> list[ClientState]:
        """The states of the clients that have not left."""
        return [state for state in self._states.values() if state.state != LEFT]

    @property
    def is_empty(self) -> bool:
        return not self._states
