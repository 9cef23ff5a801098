"""The limits of names, JSON values, documents and updates: each number once, with its reason.

The limits decide what a node refuses, so all nodes of a mesh must have the same ones.
"""

from dataclasses import dataclass, replace

MAX_COLLECTION_CHARACTERS = 64
"""Length of a collection's name, which is ASCII."""

MAX_ID_BYTES = 256
"""Length of a document id in UTF-8."""

MAX_KEY_BYTES = 1024
"""Length of one member name of a JSON object in a request, in UTF-8."""

MAX_DEPTH = 60
"""Nesting of objects and arrays in a JSON value, and the levels that a key of a Yjs client's root map names."""

NESTS_TOO_DEEP = f"objects and arrays nest deeper than {MAX_DEPTH} levels"
"""The sentence with which every edge refuses it."""

MAX_POINTER_BYTES = 4096
"""Length of the JSON Pointer of any member: the escaped names along its path, in UTF-8."""

MAX_VALUES = 50_000
"""Values of one document or body: objects, arrays, strings, numbers, booleans and nulls. Each of them costs the same in
Python, however few bytes it has: 500,000 numbers fit in 1 MiB. With twice as many, changes of documents of small
objects took a node beyond the 256 MiB that the chart gives it."""

MAX_NAMES_BYTES = 4 * 1024 * 1024
"""Length of the JSON Pointers of all members of a document together. A document is stored flat, each member under its
pointer: without a limit, 240 kB of JSON with long names on the way to many members would take 60 MB. With 8 MiB, a
document could be written once, and no change to it would fit in the memory of one operation."""

MAX_PATCH_OPERATIONS = 10_000
"""Operations of one JSON Patch."""

MAX_PATCH_WORK = 1_000_000
"""Values that the operations of one JSON Patch may visit together. Without a limit, 10,000 operations could each visit
50,000 values."""

MAX_PATCH_COPIED_BYTES = 8 * 1024 * 1024
"""Bytes that all copy operations of one patch copy together. Without a limit, each operation could double the value."""

MAX_INCARNATION = 2**40
"""Incarnation numbers are below it. They fit every encoding."""

MAX_LEAP = 2**20
"""A join that raises the incarnation of a document by more is quarantined (`replica/leaps.py`). It would take a
node that is cut off a million deletions of one document to do it. Without a limit, one message of a single node could
use up all incarnations of a name."""

LATE_INCARNATION = 2**39
"""From here on, the smaller leap holds."""

MAX_LATE_LEAP = 16
"""The largest leap from `LATE_INCARNATION` on, so that many leaps in a row do not use up the other half: that takes
34,000,000,000 of them."""

MAX_STATE_BYTES = 16 * 1024 * 1024
"""Size of all updates of one document together, up to which a node takes changes of its own clients."""

MAX_JOINED_BYTES = 2 * MAX_STATE_BYTES
"""The same for changes of peers: two nodes may have filled a document apart, and one that has not compacted it yet
holds more than the sender."""

MAX_CLIENTS = 50_000
"""Client ids in a document, up to which a node takes changes of new Yjs clients. Peers accept twice as many, because
two nodes may have reached it apart."""

MAX_DERIVED_CLIENTS = 32
"""A document with so many client ids gets no more derived ones (`json/authors.py`). Each takes 20 to 25 bytes of the
document's record for ever, so all of them take less than one KiB."""

MAX_CLIENTS_OF_FIELDS = 16
"""In a document with so many client ids, a change of fields alone gets no derived one: the others are left to changes
of its arrays and texts."""

MAX_ENDED_CLIENTS = 4096
"""Clients in the ended vector of a record."""


@dataclass(frozen=True, slots=True)
class UpdateLimits:
    """Bounds on one update or state vector. The decoder checks each of them while it reads."""

    max_bytes: int = 8 * 1024 * 1024
    max_structs: int = 200_000
    """Structs of all clients together. An engine can need quadratic time to integrate structs."""
    max_clients: int = 10_000
    """Clients in the structs, in the delete set, and in a state vector, each counted separately."""
    max_ranges: int = 500_000
    """Ranges of the delete set."""
    max_depth: int = MAX_DEPTH
    """Nesting of one value, in lib0's Any encoding and in JSON."""
    max_levels: int = MAX_DEPTH
    """Slashes in a key. Each of them is a level of the value, and a value of 254 levels cannot be written as JSON."""
    max_clock: int = 2**32 - 1
    """Yjs allows 2**53, but yrs keeps clocks in 32 bits and panics beyond."""
    max_unanchored: int = 0
    """Items without an origin in a place where the same client already has an item. The update of a correct client has
    none, and many of them cost an engine quadratic time."""


CLIENT_LIMITS = UpdateLimits()
"""Limits of one update from a Yjs client."""

STATE_LIMITS = UpdateLimits(
    max_bytes=MAX_JOINED_BYTES,
    max_structs=4_000_000,
    max_clients=2 * MAX_CLIENTS,
    max_ranges=4_000_000,
    max_depth=64,
    max_levels=2**32,
    max_unanchored=4_000_000,
)
"""Limits of states on this node's disk, each of which is the result of many accepted updates."""

PEER_LIMITS = replace(STATE_LIMITS, max_levels=180, max_unanchored=100_000)
"""Limits of updates from peers. A peer sends whole documents, which merge many updates of one client, each within the
limits of clients. An older version let values of clients nest 64 deep. No engine reads a document with so many items
without an origin: it is quarantined on the node that has it."""
