"""The fingerprint of a document: documents of equal content have equal fingerprints on every node, and only those."""

from hashlib import sha256

from peatnode.documents.content.unit_sums import SUM_BYTES
from peatnode.documents.yjs.lib0 import var_uint

FINGERPRINT_BYTES = 16
DEFINITION = 2
"""The number of this definition. The first one covered clocks and deletions, and no content."""

_DOMAIN = b"peatnode document %d\0" % DEFINITION


def fingerprint(incarnation: int, deleted: bool, content_sum: int) -> bytes:
    """16 bytes: a hash of the incarnation, of whether a tombstone has ended it, and of the content sum."""
    digest = sha256(_DOMAIN)
    digest.update(var_uint(incarnation) + (b"\1" if deleted else b"\0"))
    digest.update(content_sum.to_bytes(SUM_BYTES, "big"))
    return digest.digest()[:FINGERPRINT_BYTES]
