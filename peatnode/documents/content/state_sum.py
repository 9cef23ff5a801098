"""The content sum of a whole document, from its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.yjs.clocks.ranges import Range
from peatnode.documents.yjs.compaction import divided
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.structs import DELETED, GC, Struct
from peatnode.documents.yjs.update import Update


def state_sum(sums: UnitSums, state: Update) -> int:
    """The content sum of a document; `state` has all of its structs and deletions."""
    total = items_sum(sums, state, state.delete_set) + deleted_sum(sums, state.delete_set)
    return total % sums.prime


def items_sum(sums: UnitSums, update: Update, deleted: DeleteSet) -> int:
    """What the items of an update add for all places, and for the contents that are not in `deleted`."""
    total = 0
    for client, structs in update.structs.items():
        ranges = deleted.ranges.get(client, ())
        if not ranges or ranges[-1][1] <= structs[0].clock:
            # an update deletes what its writer wrote before
            total += sum(sums.live(client, struct) for struct in structs)
            continue
        total += sum(sums.place(client, struct) for struct in structs if struct.kind != GC)
        for part in live_parts(client, structs, ranges):
            total += sums.content(client, part)
    return total


def deleted_sum(sums: UnitSums, deleted: DeleteSet) -> int:
    """The sum of deleted units."""
    return sum(sums.deleted(*deleted_range) for deleted_range in deleted)


def live_parts(
    client: int, structs: Sequence[Struct], deleted: Sequence[Range]
) -> Iterator[Struct]:
    """The structs without the parts that are deleted.

    The half of a surrogate pair whose other half is deleted becomes U+FFFD, as if a writer had cut there.
    """
    for struct in structs:
        if struct.kind in (GC, DELETED):
            continue
        if not deleted:
            yield struct
            continue
        yield from (part for part, is_dead in divided(client, struct, deleted) if not is_dead)
