"""The numbers of documents and tombstones in each collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias


@dataclass(slots=True)
class CollectionCounts:
    """The numbers of live and deleted documents in a collection."""

    documents: int = 0
    tombstones: int = 0


Counts: TypeAlias = dict[str, CollectionCounts]
"""The counts of each collection that has a document or a tombstone."""


def add_counts(counts: Counts, collection: str, documents: int, tombstones: int) -> None:
    """Adds a change of a collection's numbers."""
    found = counts.setdefault(collection, CollectionCounts())
    found.documents += documents
    found.tombstones += tombstones


def copy_counts(counts: Counts) -> Counts:
    return {collection: replace(found) for collection, found in counts.items()}
