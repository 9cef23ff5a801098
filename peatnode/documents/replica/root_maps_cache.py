"""A cache of the root maps of recently used documents, so that the next change need not decode them again."""

from __future__ import annotations

from collections import OrderedDict

from peatnode.documents.json.packed_maps import pack, unpack
from peatnode.documents.json.root_maps import RootMaps
from peatnode.documents.replica.record import Record

MAX_BYTES = 8 * 1024 * 1024
"""Estimated size of all cached root maps."""

MAX_PACKED_BYTES = 32 * 1024
"""Size of the largest cached root maps with lists. A change to larger ones takes too long for the store."""

_ENTRY_BYTES = 400


class RootMapsCache:
    """Root maps by document key, within MAX_BYTES. The ones stored the longest ago are dropped.

    Those with lists are packed: they have many parts, and each `get` returns parts that the caller may change.
    """

    def __init__(self) -> None:
        self._maps: OrderedDict[bytes, tuple[int, int, RootMaps | bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, key: bytes, record: Record) -> RootMaps | None:
        """The cached root maps, if they belong to exactly this record."""
        found = self._maps.get(key)
        if found is None or found[0] != record.sequence:
            return None
        maps = found[2]
        return unpack(maps) if isinstance(maps, bytes) else maps

    def put(self, key: bytes, record: Record, maps: RootMaps | None) -> None:
        self.drop(key)
        if maps is None:
            return
        kept: RootMaps | bytes = maps
        if maps.lists is None:
            weight = record.snapshot_bytes + _ENTRY_BYTES * (1 + len(maps.root))
        else:
            kept = pack(maps)
            weight = len(kept) + _ENTRY_BYTES
            if weight > MAX_PACKED_BYTES:
                return
        self._maps[key] = (record.sequence, weight, kept)
        self._bytes += weight
        while self._bytes > MAX_BYTES:
            self._bytes -= self._maps.popitem(last=False)[1][1]

    def drop(self, key: bytes) -> None:
        replaced = self._maps.pop(key, None)
        if replaced is not None:
            self._bytes -= replaced[1]

    def clear(self) -> None:
        self._maps.clear()
        self._bytes = 0
