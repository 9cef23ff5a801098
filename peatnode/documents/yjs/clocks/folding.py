"""Decides when the clocks of a document become a base of their own, and when a new base replaces it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from peatnode.documents.yjs.clocks.base_clocks import BaseClocks, Clocks, base_of
from peatnode.documents.yjs.clocks.layers import BaseEnded, LayeredRanges, LayeredVector, layer_size
from peatnode.documents.yjs.clocks.ranges import PackedRanges
from peatnode.documents.yjs.clocks.vectors import PackedVector
from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet
from peatnode.documents.yjs.state_vector import StateVector

SEPARATE_SIZE = 64
"""Clients and ranges above which the clocks of a document have a base."""
MAX_LAYER = 256
"""Clients and ranges above the base. A new base then replaces it, which copies everything: for 10,000 clients that is
as much as the record is larger by this layer in so many updates."""


class DocumentClocks(NamedTuple):
    """The clocks of a document. Either all three have the same base, or none has one."""

    vector: StateVector
    deleted: DeleteSet
    ended: StateVector

    @property
    def base(self) -> BaseClocks | None:
        return self.vector.base if isinstance(self.vector, LayeredVector) else None

    def after(self, reached: Mapping[int, int], deleted: DeleteSet) -> DocumentClocks:
        """The clocks after an update. Takes time with the update, unless a new base is due."""
        if isinstance(self.vector, LayeredVector):
            vector: StateVector = self.vector.with_clocks(reached)
        else:
            vector = {**self.vector, **reached}
        after = DocumentClocks(vector, self.deleted.union(deleted), self.ended)
        return after.folded() if after._is_due() else after

    def with_ended(self, ended: StateVector) -> DocumentClocks:
        """The clocks with another ended vector."""
        after = self._replace(ended=ended)
        return after if self.base is None else after.folded()

    def _is_due(self) -> bool:
        vector, ranges = self.vector, self.deleted.ranges
        if isinstance(vector, LayeredVector) and isinstance(ranges, LayeredRanges):
            return layer_size(vector, ranges) > MAX_LAYER
        return len(vector) + len(self.ended) + sum(map(len, ranges.values())) > SEPARATE_SIZE

    def folded(self) -> DocumentClocks:
        """The same clocks with a new base and nothing above it."""
        vector, ranges = self.vector, self.deleted.ranges
        if isinstance(vector, LayeredVector) and isinstance(ranges, LayeredRanges):
            known = vector.base.clocks
            clocks = Clocks(
                known.vector.with_clocks(vector.changed),
                known.ranges.with_ranges(ranges.added),
                known.ended if isinstance(self.ended, BaseEnded) else self.ended,
            )
        else:
            clocks = Clocks(PackedVector.of(vector), PackedRanges.of(ranges), self.ended)
        return on_base(base_of(clocks), {}, {})


NO_CLOCKS = DocumentClocks({}, EMPTY_DELETE_SET, {})


def on_base(
    base: BaseClocks, changed: Mapping[int, int], added: Mapping[int, tuple[tuple[int, int], ...]]
) -> DocumentClocks:
    """The clocks of a base, with what has changed since."""
    return DocumentClocks(
        LayeredVector(base, changed), DeleteSet(LayeredRanges(base, added)), BaseEnded(base)
    )
