"""A cache of the large clocks of recently used documents, so that the next change need not read them again."""

from __future__ import annotations

from collections import OrderedDict

from peatnode.documents.names import display_name
from peatnode.documents.replica.keyspace import CLOCKS, KeyValue
from peatnode.documents.yjs.clocks.base_clocks import Clocks, base_id, decode_clocks
from peatnode.errors import EntriesDiffer

MAX_BYTES = 4 * 1024 * 1024
"""Size of all cached clocks. Those of 10,000 clients, each with a deletion, take 280 KB."""


class ClockCache:
    """Clocks by their id, within MAX_BYTES. The ones used the longest ago are dropped."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv
        self._clocks: OrderedDict[bytes, Clocks] = OrderedDict()
        self._bytes = 0

    def load(self, key: bytes, wanted: bytes) -> Clocks:
        """The clocks with an id, from memory or from the disk. Raises EntriesDiffer."""
        found = self._clocks.get(wanted)
        if found is not None:
            self._clocks.move_to_end(wanted)
            return found
        found = clocks_on_disk(self._kv, key, wanted)
        self._clocks[wanted] = found
        self._bytes += found.size_bytes
        while self._bytes > MAX_BYTES:
            self._bytes -= self._clocks.popitem(last=False)[1].size_bytes
        return found


def clocks_on_disk(kv: KeyValue, key: bytes, wanted: bytes) -> Clocks:
    """The separate clocks of a record. Raises EntriesDiffer if they are missing, or those of another record."""
    stored = kv.get(CLOCKS + key) or b""
    if base_id(stored) != wanted:
        what = "those of another record" if stored else "missing"
        raise EntriesDiffer(f"the clocks of {display_name(key)} are {what}")
    return decode_clocks(stored)
