"""The limits of names, JSON values, documents and updates: each number once, with its reason.

All nodes of a mesh must agree on them, because they decide what a node refuses.
"""

from dataclasses import dataclass, replace

MAX_COLLECTION_CHARACTERS = 64
"""Of a collection's name. All of them are ASCII."""

MAX_ID_BYTES = 256
"""Of a document id in UTF-8."""

MAX_KEY_BYTES = 1024
"""Of one member name of a JSON object in UTF-8, as it arrives in a request."""

MAX_DEPTH = 60
"""Nesting of objects and arrays in a JSON value. Below the codec's 64 (`UpdateLimits.max_depth`), so that
every value that is accepted can be encoded."""

MAX_POINTER_BYTES = 4096
"""Of the JSON Pointer of any member: the escaped names along its path, in UTF-8."""

MAX_PATCH_OPERATIONS = 10_000
"""Of one JSON Patch."""

MAX_PATCH_COPIED_BYTES = 8 * 1024 * 1024
"""By all copy operations of one patch together: each can double the value."""

MAX_INCARNATION = 2**40
"""An incarnation number below it fits every encoding."""

MAX_STATE_BYTES = 16 * 1024 * 1024
"""All updates of one document together."""

MAX_ENDED_CLIENTS = 4096
"""Clients of ended incarnations that a record keeps."""


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """Bounds on one update or state vector. The decoder checks each of them while it reads."""

    max_bytes: int = 8 * 1024 * 1024
    max_structs: int = 200_000
    """All clients together. An engine can need quadratic time to integrate structs."""
    max_clients: int = 10_000
    """In the structs, in the delete set, and in a state vector, each counted by itself."""
    max_ranges: int = 500_000
    """Ranges of the delete set."""
    max_depth: int = 64
    """Nesting of one value, in lib0's Any encoding and in JSON."""
    max_clock: int = 2**32 - 1
    """Yjs allows 2**53, but yrs keeps clocks in 32 bits and panics beyond."""
    max_unanchored: int = 0
    """Items of one client without an origin in a place where the client already has an item. An honest client's
    update has none; many of them cost an engine quadratic time."""


CLIENT_LIMITS = UpdateLimits()
"""For one update of a Yjs client."""

STATE_LIMITS = UpdateLimits(
    max_bytes=2 * MAX_STATE_BYTES,
    max_structs=4_000_000,
    max_clients=100_000,
    max_ranges=4_000_000,
    max_unanchored=4_000_000,
)
"""For states on this node's disk, which many accepted updates made."""

PEER_LIMITS = replace(STATE_LIMITS, max_unanchored=1000)
"""For peers. They send whole documents, which merge many updates of a client, each of them honest."""
