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
"""An update without structs and deletions: the answer to step 1 of a client in sync."""


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """The state vector of the sender, which requests the difference."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncUpdate:
    """A change, or step 2, which answers step 1. Both are applied in the same way."""

    update: bytes


@dataclass(frozen=True, slots=True)
class AwarenessMessage:
    """States of clients: cursors, names. See `awareness`."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """Requests all known states."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a later protocol, or one without meaning for a server. It is ignored."""


Received = SyncStep1 | SyncUpdate | AwarenessMessage | QueryAwareness | Unknown


def decode(data: bytes) -> Received:
    """The message of a client. Raises MalformedUpdate if it is incomplete or has trailing bytes."""
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
        raise MalformedUpdate("there are bytes after the message", end)
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
