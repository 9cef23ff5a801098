"""Under which client id a change of this node is written: its own, or one that equal writes of other nodes derive too.

Two nodes that make an equal change to an equal state derive one id, and write the same structs under it, from clock 0.
So arrays and texts that were written alike are there once. docs/conflicts.md has the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from peatnode.documents.json.diff import NO_EDITS, Edits
from peatnode.documents.json.root_maps import RootMaps, change
from peatnode.documents.limits import MAX_CLIENTS_OF_FIELDS, MAX_DERIVED_CLIENTS
from peatnode.documents.yjs.delete_set import encode_delete_set
from peatnode.documents.yjs.lib0 import var_uint
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.documents.yjs.update import Update

_DOMAIN = b"peatnode equal write 1\0"

_NOBODY = 0
"""Stands for the client id while a change is computed: no struct of it names another one of it."""


@dataclass(frozen=True, slots=True)
class Before:
    """The document before a change."""

    key: bytes
    incarnation: int
    fingerprint: bytes
    """Empty if the change creates the document."""
    state_vector: StateVector


def change_by(
    own: int, before: Before, maps: RootMaps, edits: Edits, expires_at: float | None = None
) -> Update:
    """The update that makes `edits` and sets the expiry. `own` is the node's own client id.

    A creation has a derived id, and so has a change of a document with arrays or texts, if few have written there.
    """
    clock = before.state_vector.get(own, 0)
    if not _is_derived(before, maps, edits):
        return change(maps, edits, own, clock, expires_at)
    content = change(maps, edits, _NOBODY, 0)
    client = _derived_client(before, content)
    if client in (_NOBODY, own) or client in before.state_vector:
        return change(maps, edits, own, clock, expires_at)
    structs = {client: content.structs[_NOBODY]}
    if expires_at is None:
        return Update(structs, content.delete_set)
    expiry = change(maps, NO_EDITS, own, clock, expires_at)
    return Update({**structs, **expiry.structs}, content.delete_set.union(expiry.delete_set))


def _is_derived(before: Before, maps: RootMaps, edits: Edits) -> bool:
    if not before.fingerprint:
        return not edits.is_empty
    if edits.is_inserting:
        return len(before.state_vector) < MAX_DERIVED_CLIENTS
    # Fields alone do no harm if they are written twice, but the next insertion would then start from other states.
    if edits.set_leaves and maps.lists:
        return len(before.state_vector) < MAX_CLIENTS_OF_FIELDS
    return False


def _derived_client(before: Before, content: Update) -> int:
    """32 bits of a hash over the state before and everything that the change says, so that one id says one thing."""
    structs = content.structs[_NOBODY]
    said = (
        _DOMAIN,
        var_uint(len(before.key)),
        before.key,
        var_uint(before.incarnation),
        var_uint(len(before.fingerprint)),
        before.fingerprint,
        var_uint(len(structs)),
        *(struct.raw for struct in structs),
        encode_delete_set(content.delete_set),
    )
    return int.from_bytes(sha256(b"".join(said)).digest()[:4], "big")
