"""Items in their lists: garbage, items that fit nowhere, and the places at which a writer inserts."""

from __future__ import annotations

import pytest

from peatnode.documents.yjs.delete_set import EMPTY_DELETE_SET, DeleteSet
from peatnode.documents.yjs.lib0 import var_string
from peatnode.documents.yjs.sequences.causal_order import NotIntegrable
from peatnode.documents.yjs.sequences.item_lists import ItemLists
from peatnode.documents.yjs.sequences.visible import (
    NotReadable,
    Place,
    Places,
    VisibleList,
    new_struct,
)
from peatnode.documents.yjs.structs import ANY, FORMAT, STRING, Id, Struct, gc_struct
from peatnode.documents.yjs.update import Update


def text(
    clock: int, chars: str, origin: Id | None = None, right: Id | None = None, root: str = "/t"
) -> Struct:
    length = len(chars.encode("utf-16-le")) // 2
    return new_struct(STRING, clock, length, var_string(chars), Place(origin, right), root)


def lists(*updates: Update) -> ItemLists:
    found = ItemLists()
    for update in updates:
        found.apply(update)
    return found


def read(found: ItemLists, root: str = "/t") -> str:
    return VisibleList.of(found.find((root, None)) or ()).text()


def test_structs_wait_for_what_they_depend_on_in_any_client() -> None:
    one = [text(0, "a"), text(1, "c", (2, 0)), text(2, "e", (2, 1))]
    two = [text(0, "b", (1, 0)), text(1, "d", (1, 1))]
    for structs in ({1: one, 2: two}, {2: two, 1: one}):
        assert read(lists(Update(structs))) == "abcde"


@pytest.mark.parametrize(
    "structs",
    [
        {1: [text(1, "a")]},
        {1: [text(0, "a", (2, 0))]},
        {1: [text(0, "a"), text(1, "b", (1, 0), (2, 1))], 2: [text(0, "c")]},
        {1: [text(0, "a", (2, 0))], 2: [text(0, "b", (1, 0))]},
        {1: [text(0, "a"), text(1, "b", root="/u"), text(2, "c", (1, 0), (1, 1))]},
    ],
    ids=["a gap", "unknown client", "unknown clock", "a circle", "between two lists"],
)
def test_an_item_that_fits_nowhere_is_refused(structs: dict[int, list[Struct]]) -> None:
    with pytest.raises(NotIntegrable):
        lists(Update(structs))


def test_an_item_next_to_garbage_or_inside_it_is_garbage() -> None:
    inside = Struct(ANY, 2, 1, None, None, (1, 0), None, b"\x08\0\1\0\1\x7e", 4)
    found = lists(Update({1: [gc_struct(0, 1), text(1, "a", (1, 0)), inside, text(3, "b")]}))
    assert read(found) == "b"
    assert [items.slot for items in found.lists()] == [("/t", None)]
    assert len(found) == 4


def test_a_long_text_typed_backwards_needs_no_recursion() -> None:
    structs = [text(0, "x"), *(text(n, "y", None, (1, n - 1)) for n in range(1, 3000))]
    assert read(lists(Update({1: structs}))) == "y" * 2999 + "x"


def test_deletions_split_items_and_may_come_again() -> None:
    gone = DeleteSet.from_ranges([(1, 1, 3), (1, 4, 9), (7, 0, 2)])
    found = lists(Update({1: [text(0, "abcdef")]}), Update({}, gone), Update({}, gone))
    assert read(found) == "ad"


def test_places_lie_before_or_behind_deleted_units() -> None:
    gone = DeleteSet.from_ranges([(1, 2, 4)])
    shown = VisibleList.of(lists(Update({1: [text(0, "abcdef")]}, gone)).find(("/t", None)) or ())
    places = Places(shown)
    assert places.before(0) == Place(None, (1, 0))
    assert places.before(1) == Place((1, 0), (1, 1))
    assert places.before(2) == Place((1, 1), (1, 2))
    assert places.behind_deleted(2) == Place((1, 3), (1, 4))
    assert places.before(4) == Place((1, 5), None)
    assert list(places.ranges(1, 2)) == [(1, 1, 2), (1, 4, 5)]
    assert list(places.ranges(4, 0)) == []
    assert Places(VisibleList()).before(0) == Place(None, None)


@pytest.mark.parametrize(
    ("origin", "right", "expected"),
    [
        (None, (1, 0), "+abef"),
        ((1, 0), (1, 1), "a+bef"),
        ((1, 1), (1, 2), "ab+ef"),
        ((1, 3), (1, 4), "ab+ef"),
        ((1, 5), None, "abef+"),
        ((1, 0), (1, 4), None),
        ((1, 1), (1, 4), None),
        ((1, 2), (1, 3), None),
        (None, None, None),
        ((2, 0), None, None),
    ],
)
def test_only_an_item_between_units_side_by_side_is_carried_forward(
    origin: Id | None, right: Id | None, expected: str | None
) -> None:
    whole, gone = Update({1: [text(0, "abcdef")]}), DeleteSet.from_ranges([(1, 2, 4)])
    shown = VisibleList.of(lists(whole, Update({}, gone)).find(("/t", None)) or ())
    assert shown.insert(9, text(0, "+", origin, right)) == (expected is not None)
    assert shown.text() == (expected or "abef")
    shown.delete(1, 1, 5)
    assert shown.text() == (expected or "abef").replace("b", "").replace("e", "")


def test_a_list_shows_plain_values_or_plain_text() -> None:
    found = lists(Update({1: [text(0, "ab")]}, EMPTY_DELETE_SET))
    shown = VisibleList.of(found.find(("/t", None)) or ())
    assert shown.shows_only(STRING)
    assert not shown.shows_only(ANY)
    content = b"\4bold\4true"
    found.apply(Update({1: [new_struct(FORMAT, 2, 1, content, Place((1, 1), None), "/t")]}))
    with pytest.raises(NotReadable):
        VisibleList.of(found.find(("/t", None)) or ())
    found.apply(Update({}, DeleteSet.from_ranges([(1, 0, 3)])))
    assert VisibleList.of(found.find(("/t", None)) or ()).shows_only(ANY)


def test_half_a_surrogate_pair_is_replaced_as_in_a_whole_reading() -> None:
    whole = Update({1: [text(0, "a😀b")]})
    gone = DeleteSet.from_ranges([(1, 2, 3)])
    shown = VisibleList.of(lists(whole).find(("/t", None)) or ())
    shown.delete(1, 2, 3)
    assert shown.text() == read(lists(whole, Update({}, gone))) == "a\ufffdb"
