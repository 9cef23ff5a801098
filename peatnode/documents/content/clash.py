"""Joins two histories of one document that hold different units under the same clocks of a client.

Two copies of one writer that go on separately make such histories. No union of them exists, so one of two units has to
give way: the one with the smaller hash, and what its writer made after it. All nodes find the same, in any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from peatnode.documents.content.aligned import aligned
from peatnode.documents.content.homes import without_homeless, without_misplaced
from peatnode.documents.content.intervals import without_reversed
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.lib0 import read_chunk
from peatnode.documents.yjs.merge import structs_below, structs_from
from peatnode.documents.yjs.structs import (
    ANY,
    DELETED,
    GC,
    STRING,
    Struct,
    cut_left,
    with_content,
)
from peatnode.documents.yjs.update import Update

_UNDEFINED = b"\1\x7f"
"""The content that stands for that of a deleted unit, of which only the place is compared."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first clock of a client under which two histories hold different units."""

    client: int
    clock: int
    mine_stays: bool


@dataclass(frozen=True, slots=True)
class JoinedHistories:
    """What both nodes make of two histories, and where these contradict each other."""

    joined: Update
    differences: tuple[Difference, ...]
    """Empty: one may only have garbage where the other has deleted items."""

    @property
    def mine_loses(self) -> bool:
        return not all(difference.mine_stays for difference in self.differences)

    @property
    def theirs_loses(self) -> bool:
        return any(difference.mine_stays for difference in self.differences)


def join_histories(mine: Update, theirs: Update, sums: UnitSums) -> JoinedHistories:
    """The join of two whole documents, which may differ under common clocks.

    Below a client's first difference nothing changes. From there on, the greater of the two units stays, with all that
    follows it, and then what the other history has beyond that end. A deleted unit has only a place to compare, and a
    garbage-collected one nothing. What no longer has a place in the document becomes garbage. If the result depends
    on itself in a circle, `missing_for` finds it.
    """
    deleted = mine.delete_set.union(theirs.delete_set)
    left = compact(Update(mine.structs, deleted)).structs
    right = compact(Update(theirs.structs, deleted)).structs
    joined: dict[int, Sequence[Struct]] = {}
    differences: list[Difference] = []
    for client in sorted(left.keys() | right.keys()):
        pair = left.get(client, ()), right.get(client, ())
        if pair[0] == pair[1]:
            joined[client] = pair[0]
            continue
        found = _first_difference(client, *pair, deleted, sums)
        if found is None:
            joined[client] = list(_fuller(client, *pair))
            continue
        clock, mine_stays, cut = found
        differences.append(Difference(client, clock, mine_stays))
        stays, gives_way = pair if mine_stays else (pair[1], pair[0])
        below = (structs_below(structs, cut) for structs in pair)
        joined[client] = [
            *_fuller(client, *below),
            *structs_from(client, stays, cut),
            *structs_from(client, gives_way, stays[-1].end),
        ]
    return JoinedHistories(_readable(Update(joined, deleted)), tuple(differences))


def with_history(mine: Update, update: Update) -> Update:
    """The whole document of a writer who has `update` instead of what `mine` has under its clocks, and all the rest."""
    structs = dict(mine.structs)
    for client, found in update.structs.items():
        history = mine.structs.get(client, ())
        whole: list[Struct] = []
        end = 0
        for struct in found:
            if struct.clock > end and history:
                whole += structs_from(client, structs_below(history, struct.clock), end)
            whole.append(struct)
            end = struct.end
        structs[client] = whole
    return Update(structs, mine.delete_set.union(update.delete_set))


def _readable(joined: Update) -> Update:
    """Without the items that no longer have a place: each that goes may leave others without one."""
    while True:
        kept = without_homeless(joined)
        if kept is joined:
            kept = without_reversed(joined)
        if kept is joined:
            kept = without_misplaced(joined)
        if kept is joined:
            return compact(joined)
        joined = kept


def _first_difference(
    client: int,
    mine: Sequence[Struct],
    theirs: Sequence[Struct],
    deleted: DeleteSet,
    sums: UnitSums,
) -> tuple[int, bool, int] | None:
    """(clock, whether the own unit stays, clock up to which the histories are the same) of the first difference."""
    for left, right in aligned(client, mine, theirs):
        if left is None or right is None or left.raw == right.raw:
            continue
        kinds = (left.kind, right.kind)
        if GC in kinds:
            continue
        is_deleted = DELETED in kinds or deleted.contains(client, left.clock)
        if is_deleted:
            left, right = _place_alone(left), _place_alone(right)
        if left.place == right.place and _are_equal(client, left, right, is_deleted, sums):
            continue
        clock, cut = left.clock, left.clock
        if left.place == right.place and left.kind == right.kind and left.length > 1:
            same = _same_units(client, left, right, sums)
            clock = left.clock + same
            cut = clock - _splits_pair(left, same)
        is_mine = sums.unit(client, left, clock) > sums.unit(client, right, clock)
        return clock, is_mine, cut
    return None


def _are_equal(client: int, left: Struct, right: Struct, is_deleted: bool, sums: UnitSums) -> bool:
    """Whether two structs of one place and length have equal content, perhaps in another encoding."""
    if is_deleted:
        return True
    return left.kind == right.kind and sums.live(client, left) == sums.live(client, right)


def _place_alone(struct: Struct) -> Struct:
    return with_content(struct, ANY, 1, _UNDEFINED)


def _same_units(client: int, left: Struct, right: Struct, sums: UnitSums) -> int:
    """How many units of two structs with different content are the same from the beginning."""
    if left.kind == STRING:
        texts = [_utf16(struct) for struct in (left, right)]
        return _longest(left.length, lambda n: texts[0][: 2 * n] == texts[1][: 2 * n])

    def are_same(count: int) -> bool:
        parts = [cut_left(struct, count) for struct in (left, right)]
        return sums.live(client, parts[0]) == sums.live(client, parts[1])

    return _longest(left.length, are_same)


def _longest(length: int, are_same: Callable[[int], bool]) -> int:
    """The largest number below `length` of units that are the same, by bisection."""
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if are_same(middle) else (low, middle)
    return low


def _utf16(struct: Struct) -> bytes:
    return read_chunk(struct.raw, struct.content_at)[0].decode().encode("utf-16-le")


def _splits_pair(struct: Struct, offset: int) -> bool:
    """Whether a cut at this offset would divide the halves of a surrogate pair."""
    return struct.kind == STRING and offset > 0 and 0xD8 <= _utf16(struct)[2 * offset - 1] <= 0xDB


def _fuller(client: int, left: Sequence[Struct], right: Sequence[Struct]) -> Iterator[Struct]:
    """The structs of both lists, which do not contradict each other: of each clock the one that says more."""
    for one, other in aligned(client, left, right):
        found = [struct for struct in (one, other) if struct is not None]
        yield max(found, key=lambda struct: (_fullness(struct), struct.raw))


def _fullness(struct: Struct) -> int:
    return {GC: 0, DELETED: 1}.get(struct.kind, 2)
