"""Structs cut in two and joined again, content by content."""

import pytest

from peatnode.documents.yjs.compaction import compact
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.merge import diff_update, merge_updates, subtract_known
from peatnode.documents.yjs.update import Update, decode_update, encode_update

TEXT = b"\1\4text"


def one(struct: bytes) -> Update:
    return decode_update(b"\1\1\5\0" + struct + b"\0")


@pytest.mark.parametrize(
    "struct",
    [
        b"\4" + TEXT + b"\6abcdef",
        b"\4" + TEXT + b"\x0c" + "żółć😀".encode(),
        b"\x08" + TEXT + b"\6" + b"\x7d\1\x7e\x77\1a\x75\1\x7e\x76\1\1k\x7e\x78",
        b"\2" + TEXT + b"\3" + b"\1" + b"1" + b"\x09undefined\2[]",
    ],
    ids=["ASCII text", "other text", "Any", "JSON"],
)
def test_cut_anywhere_and_joined_again_it_is_the_same(struct: bytes) -> None:
    whole = one(struct)
    (item,) = whole.structs[5]
    for at in range(1, item.length):
        if at == 5 and b"\xf0\x9f" in struct:
            continue  # between surrogates
        parts = Update({5: [*_left(whole, at).structs[5], *diff_update(whole, {5: at}).structs[5]]})
        assert [struct.length for struct in parts.structs[5]] == [at, item.length - at]
        assert decode_update(encode_update(parts)) == parts
        assert compact(parts) == whole


def _left(update: Update, at: int) -> Update:
    """By deleting the rest and looking at what stays."""
    rest = Update(update.structs, DeleteSet.from_ranges([(5, at, 1000)]))
    return Update({5: compact(rest).structs[5][:1]})


def test_both_halves_of_a_surrogate_pair_are_replaced() -> None:
    whole = one(b"\4" + TEXT + b"\6" + "a😀b".encode())
    (right,) = diff_update(whole, {5: 2}).structs[5]
    assert (right.length, right.raw[-4:]) == (2, "\ufffdb".encode())
    (left,) = _left(whole, 2).structs[5]
    assert (left.length, left.raw[-4:]) == (2, "a\ufffd".encode())


def test_an_item_is_preferred_to_gc_and_overlaps_are_cut() -> None:
    text = one(b"\4" + TEXT + b"\4abcd")
    gone = one(b"\0\2")
    merged = merge_updates([gone, text])
    assert merged.structs == text.structs
    assert list(merged.delete_set) == [(5, 0, 2)]
    longer = merge_updates([one(b"\0\6"), text])
    assert [(s.kind, s.clock, s.length) for s in longer.structs[5]] == [(4, 0, 4), (0, 4, 2)]


def test_compaction_keeps_what_is_not_deleted() -> None:
    text = one(b"\4" + TEXT + b"\6abcdef")
    holes = Update(text.structs, DeleteSet.from_ranges([(5, 1, 2), (5, 4, 5)]))
    small = compact(holes)
    assert [(s.kind, s.clock, s.length) for s in small.structs[5]] == [
        (4, 0, 1), (1, 1, 1), (4, 2, 2), (1, 4, 1), (4, 5, 1),
    ]  # fmt: skip
    assert small.delete_set == holes.delete_set
    assert small.state_vector() == holes.state_vector()


def test_items_with_different_right_origins_stay_apart() -> None:
    near = b"\4" + TEXT + b"\2ab" + b"\xc4\5\1\5\0\1c" + b"\x84\5\2\1d"
    apart = decode_update(b"\1\3\5\0" + near + b"\0")
    assert compact(apart) == apart


def test_a_deleted_type_stays_a_type() -> None:
    holder = decode_update(b"\1\1\5\0\x27" + TEXT + b"\1k\1" + b"\1\5\1\0\1")
    assert compact(holder) == holder


def test_gaps_are_encoded_as_skips() -> None:
    raw = b"\1\3\5\2" + b"\4" + TEXT + b"\1a" + b"\x0a\7" + b"\x84\5\0\1b" + b"\0"
    gap = decode_update(raw)
    assert encode_update(gap) == raw
    assert (gap.first_clocks(), gap.state_vector()) == ({5: 2}, {5: 3})
    assert [struct.clock for struct in gap.structs[5]] == [2, 10]


def test_what_is_known_is_subtracted() -> None:
    text = one(b"\4" + TEXT + b"\4abcd")
    known, deleted = DeleteSet.from_ranges([(5, 0, 2)]), DeleteSet.from_ranges([(5, 1, 4)])
    news = subtract_known(Update(text.structs, deleted), {5: 3}, known)
    assert [struct.clock for struct in news.structs[5]] == [3]
    assert list(news.delete_set) == [(5, 2, 4)]
    assert subtract_known(news, {5: 4}, deleted).is_empty
