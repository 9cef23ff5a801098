"""The fingerprint of a document: documents of equal content have equal fingerprints on every node."""

from hashlib import sha256

from peatnode.documents.yjs.delete_set import DeleteSet, encode_delete_set
from peatnode.documents.yjs.lib0 import var_uint
from peatnode.documents.yjs.state_vector import StateVector, encode_state_vector

FINGERPRINT_BYTES = 16

_DOMAIN = b"peatnode document 1\0"


def fingerprint(incarnation: int, deleted: bool, sv: StateVector, delete_set: DeleteSet) -> bytes:
    """16 bytes: a hash of the canonical encodings of incarnation, deletion, state vector and delete set.

    `deleted` is whether a tombstone has ended the incarnation.
    """
    digest = sha256(_DOMAIN)
    digest.update(var_uint(incarnation) + (b"\1" if deleted else b"\0"))
    digest.update(encode_state_vector(sv))
    digest.update(encode_delete_set(delete_set))
    return digest.digest()[:FINGERPRINT_BYTES]
