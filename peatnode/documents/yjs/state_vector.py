"""State vectors: for each client, the clock of the first struct that is not known."""

from collections.abc import Mapping
from typing import TypeAlias

from peatnode.documents.limits import CLIENT_LIMITS, UpdateLimits
from peatnode.documents.yjs.lib0 import read_var_uint, var_uint
from peatnode.errors import MalformedUpdate

StateVector: TypeAlias = Mapping[int, int]
"""Client id to its next clock. A client at clock 0 has no meaning, and is not encoded."""


def encode_state_vector(sv: StateVector) -> bytes:
    """Yjs's encoding with clients descending, so that equal vectors have equal bytes."""
    known = sorted(((client, clock) for client, clock in sv.items() if clock), reverse=True)
    parts = [var_uint(len(known))]
    for client, clock in known:
        parts += (var_uint(client), var_uint(clock))
    return b"".join(parts)


def decode_state_vector(data: bytes, limits: UpdateLimits = CLIENT_LIMITS) -> dict[int, int]:
    """Decodes Yjs's encoding, with clients in any order. Raises MalformedUpdate, and nothing else."""
    if len(data) > limits.max_bytes:
        raise MalformedUpdate("state vector too large", 0)
    try:
        return _read_state_vector(data, limits)
    except IndexError:
        raise MalformedUpdate("truncated", len(data)) from None


def _read_state_vector(data: bytes, limits: UpdateLimits) -> dict[int, int]:
    count, pos = read_var_uint(data, 0)
    if count > limits.max_clients:
        raise MalformedUpdate("too many clients", pos)
    if count > len(data) - pos:
        raise MalformedUpdate("more clients than bytes", pos)
    sv: dict[int, int] = {}
    for _ in range(count):
        client, pos = read_var_uint(data, pos)
        clock, pos = read_var_uint(data, pos)
        if client in sv:
            raise MalformedUpdate("a client occurs twice", pos)
        if clock > limits.max_clock:
            raise MalformedUpdate("clock too large", pos)
        sv[client] = clock
    if pos != len(data):
        raise MalformedUpdate("bytes after the state vector", pos)
    return {client: clock for client, clock in sv.items() if clock}
