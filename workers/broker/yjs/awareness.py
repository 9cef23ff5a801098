"""Who is in a document: a state for each Yjs client, the highest clock wins, the silent are forgotten.

Source: https://github.com/yjs/y-protocols/blob/master/awareness.js. No I/O. Time is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from peatnode.documents.yjs.lib0 import read_string, read_var_uint, var_string, var_uint
from peatnode.errors import MalformedUpdate

FORGET_SECONDS = 30.0
"""A client that has not renewed its state for so long is gone (as in y-protocols)."""

MAX_STATES = 4096
"""Clients of one document, and of one message."""

MAX_STATE_BYTES = 64 * 1024
"""JSON of one client's state."""

NOBODY = "null"
"""The state of a client that has left."""

EMPTY_AWARENESS = b"\x00"
"""A message about nobody."""


@dataclass(frozen=True, slots=True)
class ClientState:
    client: int
    clock: int
    state: str
    """JSON; `null`: gone."""


def decode_states(payload: bytes) -> list[ClientState]:
    """Raises MalformedUpdate: for JSON that is none too, since every other client of the document would trip on it."""
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
            raise MalformedUpdate(f"a client's state is over {MAX_STATE_BYTES} bytes", start)
        _check_json(state, start)
        states.append(ClientState(client, clock, state))
    if at != len(payload):
        raise MalformedUpdate("bytes behind the awareness message", at)
    return states


def _check_json(text: str, at: int) -> None:
    """What JSON.parse takes. (orjson refuses the half emoji that a cursor can leave in a selection.)"""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise MalformedUpdate("a client's state is not JSON", at) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def encode_states(states: Iterable[ClientState]) -> bytes:
    listed = list(states)
    parts = [var_uint(len(listed))]
    for state in listed:
        parts += (var_uint(state.client), var_uint(state.clock), var_string(state.state))
    return b"".join(parts)


class AwarenessStates:
    """The states of one document's clients."""

    def __init__(self) -> None:
        self._states: dict[int, ClientState] = {}
        self._seen: dict[int, float] = {}

    def apply(self, states: Iterable[ClientState], now: float) -> list[ClientState]:
        """Those that are news; the rest was known or is older."""
        return [state for state in states if self._apply_one(state, now)]

    def _apply_one(self, new: ClientState, now: float) -> bool:
        known = self._states.get(new.client)
        if known is None:
            if new.state == NOBODY or len(self._states) >= MAX_STATES:
                return False
        elif new.clock < known.clock or (
            new.clock == known.clock and (new.state != NOBODY or known.state == NOBODY)
        ):
            return False
        self._states[new.client] = new
        self._seen[new.client] = now
        return True

    def remove(self, clients: Iterable[int], now: float) -> list[ClientState]:
        """What to tell the others when a connection that spoke for these clients has ended."""
        present = [self._states[client] for client in clients if client in self._states]
        leaving = [ClientState(known.client, known.clock, NOBODY) for known in present]
        return self.apply(leaving, now)

    def farewells(self, states: Iterable[ClientState]) -> list[ClientState]:
        """Who of those that say they are here counts as gone: told so, they speak with a higher clock, and at once.

        A client that comes back after its connection broke repeats its state with the clock that its goodbye bears.
        """
        known = [self._states.get(state.client) for state in states if state.state != NOBODY]
        clocks = {state.client: state.clock for state in states}
        return [
            one
            for one in known
            if one is not None and one.state == NOBODY and one.clock >= clocks[one.client]
        ]

    def forget_silent(self, now: float) -> list[ClientState]:
        """Says goodbye for those who have not been heard of for FORGET_SECONDS. Their clocks are kept for as long
        again, so that a late copy of what they said does not bring them back."""
        silent = [client for client, seen in self._seen.items() if now - seen >= FORGET_SECONDS]
        for client in silent:
            if self._states[client].state == NOBODY:
                del self._states[client], self._seen[client]
        return self.remove(silent, now)

    def present(self) -> list[ClientState]:
        """Everybody who is there now."""
        return [state for state in self._states.values() if state.state != NOBODY]

    @property
    def is_empty(self) -> bool:
        return not self._states
