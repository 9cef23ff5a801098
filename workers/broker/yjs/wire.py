"""The messages of a y-websocket connection. No I/O.

Source: https://github.com/yjs/y-protocols (PROTOCOL.md, sync.js, awareness.js) and y-websocket's client.
"""

from __future__ import annotations

from dataclasses import dataclass

from peatnode.documents.yjs.lib0 import read_chunk, read_var_uint, var_string, var_uint
from peatnode.errors import MalformedUpdate

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS = 0, 1, 2, 3
_STEP_1, _STEP_2, _UPDATE = 0, 1, 2

EMPTY_UPDATE = b"\x00\x00"
"""An update with no structs and no deletions: what a client in sync answers to step 1."""


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """What the sender has; it wants the rest."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncUpdate:
    """A change, or the answer to step 1 (step 2): both are applied alike."""

    update: bytes


@dataclass(frozen=True, slots=True)
class AwarenessMessage:
    """States of clients: cursors, names. See `awareness`."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """Asks for all states known."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a later protocol, or of no use to a server: passed over."""


Received = SyncStep1 | SyncUpdate | AwarenessMessage | QueryAwareness | Unknown


def decode(data: bytes) -> Received:
    """What a client said. Raises MalformedUpdate for what is cut off or has something behind it."""
    try:
        return _decode(data)
    except IndexError:
        raise MalformedUpdate("the message is cut off", len(data)) from None


def _decode(data: bytes) -> Received:
    kind, at = read_var_uint(data, 0)
    if kind == _QUERY_AWARENESS:
        return QueryAwareness()
    if kind == _AWARENESS:
        return AwarenessMessage(_last_chunk(data, at))
    if kind != _SYNC:
        return Unknown()
    step, at = read_var_uint(data, at)
    if step == _STEP_1:
        return SyncStep1(_last_chunk(data, at))
    if step in (_STEP_2, _UPDATE):
        return SyncUpdate(_last_chunk(data, at))
    raise MalformedUpdate(f"there is no sync message {step}", at)


def _last_chunk(data: bytes, at: int) -> bytes:
    chunk, end = read_chunk(data, at)
    if end != len(data):
        raise MalformedUpdate("bytes behind the message", end)
    return chunk


def encode_step_1(state_vector: bytes) -> bytes:
    return _sync(_STEP_1, state_vector)


def encode_step_2(update: bytes) -> bytes:
    return _sync(_STEP_2, update)


def encode_update(update: bytes) -> bytes:
    return _sync(_UPDATE, update)


def _sync(step: int, content: bytes) -> bytes:
    return bytes((_SYNC, step)) + var_uint(len(content)) + content


def encode_awareness(payload: bytes) -> bytes:
    return bytes((_AWARENESS,)) + var_uint(len(payload)) + payload


def encode_permission_denied(reason: str) -> bytes:
    return bytes((_AUTH, 0)) + var_string(reason)
