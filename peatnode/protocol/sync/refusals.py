"""Updates that our store refused, so that they are reported and not asked for again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_REFUSALS = 1024


@dataclass(frozen=True, slots=True)
class RefusedDocument:
    collection: str
    id: str
    peer: str
    """Node id of whom it came from."""
    since: float
    reason: str


class Refusals:
    """The newest refusals, by document and the fingerprint that the peer had for it."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[tuple[str, str, bytes], RefusedDocument] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_key)

    def add(self, refusal: RefusedDocument, fingerprint: bytes) -> None:
        """`fingerprint` is empty where it is not known: then it is only reported."""
        key = (refusal.collection, refusal.id, fingerprint)
        if key not in self._by_key:
            self._by_key[key] = refusal
            if len(self._by_key) > MAX_REFUSALS:
                self._by_key.popitem(last=False)

    def is_refused(self, collection: str, id: str, fingerprint: bytes) -> bool:
        return (collection, id, fingerprint) in self._by_key

    def forget(self, collection: str, id: str) -> None:
        """The document was applied in another state."""
        if self._by_key:
            for key in [key for key in self._by_key if key[:2] == (collection, id)]:
                del self._by_key[key]

    def forget_all(self) -> None:
        """Everything is equal: there is nothing left that is refused."""
        self._by_key.clear()

    def all(self) -> tuple[RefusedDocument, ...]:
        return tuple(self._by_key.values())
