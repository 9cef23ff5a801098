"""The numbers of documents and tombstones in each collection."""

from dataclasses import dataclass


@dataclass(slots=True)
class CollectionCounts:
    """The numbers of live and deleted documents in a collection."""

    documents: int = 0
    tombstones: int = 0
