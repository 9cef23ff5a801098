"""Documents that many Yjs clients have written, and one more small change to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from peatnode.documents.yjs.lib0 import var_uint
from peatnode.documents.yjs.update import Update, decode_update, encode_update
from peatnode.model.documents import DocumentUpdate

FIRST_CLIENT, STEP = 1000, 7919
PART = 5000
"""Clients in one update, which is below the limit."""
_ANY, _HAS_ORIGIN, _HAS_KEY = 8, 128, 32
_INTEGER = 125


def client_of(number: int) -> int:
    return FIRST_CLIENT + STEP * number


def written_by(clients: int) -> Iterator[bytes]:
    """The updates by which so many clients have each set one member of the value."""
    for start in range(0, clients, PART):
        structs = {}
        for number in range(start, min(clients, start + PART)):
            structs.update(decode_update(first_edit(client_of(number), f"k{number}")).structs)
        yield encode_update(Update(structs))


def first_edit(client: int, key: str) -> bytes:
    """The first change of a client: it sets a member of the value."""
    name = b"\x04root" + var_uint(len(key)) + key.encode()
    item = bytes((_ANY | _HAS_KEY, 1)) + name + bytes((1, _INTEGER, 0))
    return b"\1\1" + var_uint(client) + b"\0" + item + b"\0"


def edit(client: int, clock: int) -> bytes:
    """The client's next change: it sets its member again, and deletes what it had set."""
    origin = var_uint(client) + var_uint(clock - 1)
    item = bytes((_ANY | _HAS_ORIGIN,)) + origin + bytes((1, _INTEGER, clock % 60))
    deleted = b"\1" + var_uint(client) + b"\1" + var_uint(clock - 1) + b"\1"
    return b"\1\1" + var_uint(client) + var_uint(clock) + item + deleted


def edits(client: int, first: int, count: int) -> Iterable[bytes]:
    return (edit(client, clock) for clock in range(first, first + count))


def to_document(update: bytes, document: str = "many", incarnation: int = 1) -> DocumentUpdate:
    return DocumentUpdate("c", document, incarnation, False, 0.0, update)
