"""What a peer and the local store have listed of the same buckets, as far as both have come."""

from __future__ import annotations

from collections.abc import Iterator

from peatnode.documents.names import document_key
from peatnode.documents.replica.index.hash_tree import tree_key_of
from peatnode.model.documents import BucketEntry
from peatnode.model.sync import BucketsReply
from peatnode.protocol.sync.pulls.steps import bucket_of, check_advance
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Buckets


class ComparedListing:
    """One part of the entries of some buckets: from a tree key on, up to `end`."""

    def __init__(
        self, buckets: tuple[int, ...], tree_key: bytes, remote: Buckets, local: BucketsReply
    ) -> None:
        """Raises PeerFault if the answer of the peer does not go on."""
        further = remote.next_tree_key
        if further:
            check_advance(tree_key, further)
        if further and bucket_of(further, 0) not in buckets:
            raise PeerFault("malformed answer", "a listing that goes on in another bucket")
        self._buckets = buckets
        self._remote = remote
        self._local = local
        self._floor = tree_key
        """No entry of the peer that is yet to come can lie below it."""
        ends = [key for key in (further, local.next_tree_key) if key]
        self.end = min(ends, default=b"")
        """The tree key from which one of the two has not listed its entries; empty: both have listed all of them."""

    def pairs(self) -> Iterator[tuple[BucketEntry, BucketEntry | None]]:
        """The entries of the peer below `end`, each with that of the local store."""
        own = {(entry.collection, entry.id): entry for entry in self._local.entries}
        for entry in self._remote.entries:
            if self.end and _position_of(entry) >= self.end:
                return
            yield entry, own.get((entry.collection, entry.id))

    def check_place(self, entry: BucketEntry) -> None:
        """Raises PeerFault if an entry of the peer is not in the buckets that were asked for, or not in order.

        It is called for what is to be fetched only, because it costs a hash: the others do no harm.
        """
        position = _position_of(entry)
        if position < self._floor or bucket_of(position, 0) not in self._buckets:
            raise PeerFault("malformed answer", "an entry where it does not belong")
        self._floor = position + b"\0"


def _position_of(entry: BucketEntry) -> bytes:
    """The tree key at which a listing that begins with this entry begins."""
    key = document_key(entry.collection, entry.id)
    return tree_key_of(key) + key
