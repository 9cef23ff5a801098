"""Names of documents by the bucket of the hash tree in which they lie."""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import cache

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import bucket_of, tree_key_of

BUCKET = 4660

_NUMBERS = (
    3865, 73152, 122951, 235155, 252524, 324552, 413202, 490998, 560625, 627213, 667395, 682692, 764751, 893112,
    909198, 976081, 1010359, 1032651, 1085894, 1104586, 1162684, 1208398, 1265856, 1291505, 1339961,
)  # fmt: skip
"""Found by computing 1,340,000 hashes."""


def position_of(collection: str, name: str) -> bytes:
    """The tree key at which a listing that begins with this document begins."""
    key = document_key(collection, name)
    return tree_key_of(key) + key


def in_order(collection: str, names: Iterable[str]) -> list[str]:
    """As a store lists them."""
    return sorted(names, key=lambda name: position_of(collection, name))


def placed_in(collection: str, names: Iterable[str], buckets: Container[int]) -> list[str]:
    """Those of the names that lie in some buckets, in order."""
    found = [name for name in names if bucket_of(position_of(collection, name)) in buckets]
    return in_order(collection, found)


IN_ONE_BUCKET = in_order("notes", [f"n{number}" for number in _NUMBERS])
"""Documents of `notes` that lie in BUCKET."""


def invented_names(collection: str, buckets: Iterable[int]) -> list[str]:
    """Made-up names that lie in some buckets, about two in each, in order."""
    return [name for bucket in sorted(buckets) for name in _invented(collection).get(bucket, ())]


@cache
def _invented(collection: str) -> dict[int, list[str]]:
    found: dict[int, list[tuple[bytes, str]]] = {}
    for number in range(131_072):
        name = f"made-up-{number}"
        position = position_of(collection, name)
        found.setdefault(bucket_of(position), []).append((position, name))
    return {bucket: [name for _, name in sorted(each)] for bucket, each in found.items()}
