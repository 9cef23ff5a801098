"""Merges updates, and cuts off the parts of an update that a state already has."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from peatnode.documents.limits import CLIENT_LIMITS, UpdateLimits
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.state_vector import StateVector
from peatnode.documents.yjs.structs import GC, Struct, cut_left, cut_right
from peatnode.documents.yjs.update import EMPTY_UPDATE, Update, decode_update


def merge_updates(
    updates: Iterable[bytes | Update], limits: UpdateLimits = CLIENT_LIMITS
) -> Update:
    """The update with all structs and all deletions of `updates`: the join of the semilattice.

    Neither order nor duplicates change the meaning of the result. If two structs cover the same clocks, an item wins
    over GC (a reader may still need it), otherwise the one that begins earlier; overlaps are cut off.
    Bytes are decoded within `limits`. Raises MalformedUpdate.
    """
    decoded = [u if isinstance(u, Update) else decode_update(u, limits) for u in updates]
    decoded = [update for update in decoded if not update.is_empty]
    if len(decoded) <= 1:
        return decoded[0] if decoded else EMPTY_UPDATE
    gathered: dict[int, list[Sequence[Struct]]] = {}
    for update in decoded:
        for client, structs in update.structs.items():
            gathered.setdefault(client, []).append(structs)
    deleted = decoded[0].delete_set
    if any(update.delete_set != deleted for update in decoded):
        deleted = DeleteSet.from_ranges(r for update in decoded for r in update.delete_set)
    return Update({c: _join_structs(c, lists) for c, lists in gathered.items()}, deleted)


def _join_structs(client: int, lists: list[Sequence[Struct]]) -> Sequence[Struct]:
    """The structs of several lists as one list without overlaps."""
    if len(lists) == 1:
        return lists[0]
    lists = sorted(lists, key=lambda structs: structs[0].clock)
    if all(a[-1].end <= b[0].clock for a, b in pairwise(lists)):
        return [struct for structs in lists for struct in structs]
    candidates = [struct for structs in lists for struct in structs]
    candidates.sort(key=lambda struct: (struct.clock, struct.kind == GC))
    joined: list[Struct] = []
    end = 0
    for struct in candidates:
        if struct.end <= end:
            continue
        if struct.clock < end:
            struct = cut_right(client, struct, end - struct.clock)
        joined.append(struct)
        end = struct.end
    return joined


def diff_update(update: Update, sv: StateVector) -> Update:
    """The structs above `sv`, cut where `sv` lies inside a struct, and the whole delete set."""
    structs = {}
    for client, known in update.structs.items():
        rest = structs_from(client, known, sv.get(client, 0))
        if rest:
            structs[client] = rest
    return Update(structs, update.delete_set)


def structs_from(client: int, structs: Sequence[Struct], clock: int) -> Sequence[Struct]:
    """The structs of a client from `clock` on, cut where it lies inside one."""
    if not structs or structs[0].clock >= clock:
        return structs
    if structs[-1].end <= clock:
        return ()
    at = bisect_right(structs, clock, key=lambda struct: struct.end)
    rest = list(structs[at:])
    if rest[0].clock < clock:
        rest[0] = cut_right(client, rest[0], clock - rest[0].clock)
    return rest


def structs_below(structs: Sequence[Struct], clock: int) -> Sequence[Struct]:
    """The structs of a client below `clock`, cut where it lies inside one."""
    at = bisect_right(structs, clock, key=lambda struct: struct.end)
    kept = list(structs[:at])
    if at < len(structs) and structs[at].clock < clock:
        kept.append(cut_left(structs[at], clock - structs[at].clock))
    return kept


def subtract_known(update: Update, sv: StateVector, delete_set: DeleteSet) -> Update:
    """The part of an update that is new to a state with `sv` and `delete_set`."""
    newer = diff_update(update, sv)
    return Update(newer.structs, newer.delete_set.subtract(delete_set))
