"""What a projection makes of single items; whole histories are projected elsewhere."""

import pytest

from peatnode.documents.yjs.projection import gc_clocks, project, root_names
from peatnode.documents.yjs.update import Update, decode_update, encode_update

LIST = b"\1\4list"
OTHER = b"\1\5other"
NULL = b"\1\x7e"


def of(*structs: bytes) -> Update:
    return decode_update(bytes((1, len(structs), 5, 0)) + b"".join(structs) + b"\0")


def kinds(update: Update) -> list[tuple[int, int]]:
    return [(struct.kind, struct.length) for struct in update.structs[5]]


def keep_list(name: str) -> bool:
    return name == "list"


def test_items_follow_their_origins() -> None:
    doc = of(b"\x08" + LIST + NULL, b"\x08" + OTHER + NULL, b"\x88\5\1" + NULL, b"\x48\5\0" + NULL)
    part = project(doc, keep_list)
    assert kinds(part) == [(8, 1), (0, 2), (8, 1)]
    assert list(gc_clocks(part)) == [(5, 1, 3)]
    assert (root_names(doc), root_names(part)) == ({"list", "other"}, {"list"})


def test_an_item_between_two_lists_belongs_to_neither() -> None:
    doc = of(b"\x08" + LIST + NULL, b"\x08\1\6second" + NULL, b"\xc8\5\0\5\1" + NULL)
    assert kinds(project(doc, lambda _: True)) == [(8, 1), (8, 1), (0, 1)]


@pytest.mark.parametrize("flatten", [False, True])
def test_an_item_inside_what_is_no_type_is_gone(flatten: bool) -> None:
    doc = of(b"\x08" + LIST + NULL, b"\x28\0\5\0\1k" + NULL)
    assert kinds(project(doc, keep_list, flatten)) == [(8, 1), (0, 1)]


def test_shared_types_inside_stay_or_become_null() -> None:
    doc = of(b"\7" + LIST + b"\1", b"\x28\0\5\0\1k" + NULL)
    assert project(doc, keep_list) == doc
    flat = project(doc, keep_list, flatten=True)
    assert kinds(flat) == [(8, 1), (0, 1)]
    assert flat.structs[5][0].raw == b"\x08" + LIST + NULL


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (b"\x08" + LIST + b"\2\x7f\x74\1a", b"\2\x7e\x7e"),
        (b"\x08" + LIST + b"\1\x75\2\x7c\x7f\x80\0\0\x77\1t", b"\1\x75\2\x7e\x77\1t"),
        (b"\x08" + LIST + b"\1\x76\1\1a\x7b\x7f\xf8" + b"\0" * 6, b"\1\x76\1\1a\x7e"),
        (b"\x08" + LIST + b"\1\x7c\x3f\x80\0\0", b"\1\x7c\x3f\x80\0\0"),
        (b"\3" + LIST + b"\1a", NULL),
        (
            b"\2" + LIST + b'\3\x09undefined\4true\x10[1,"a",{"b":[]}]',
            b"\3\x7e\x78\x75\3\x7b\x3f\xf0" + b"\0" * 6 + b"\x77\1a\x76\1\1b\x75\0",
        ),
    ],
    ids=["undefined and bytes", "infinity", "NaN", "a number", "binary", "JSON"],
)
def test_flat_values_are_those_of_json(content: bytes, plain: bytes) -> None:
    flat = project(of(content), keep_list, flatten=True)
    assert flat.structs[5][0].raw == b"\x08" + LIST + plain
    assert decode_update(encode_update(flat)) == flat


def test_long_chains_need_no_recursion() -> None:
    links = [b"\x88" + b"\5" + bytes((n & 127 | 128, n >> 7)) + NULL for n in range(128, 16_000)]
    first = [b"\x08" + LIST + NULL, *(b"\x88\5" + bytes((n,)) + NULL for n in range(128))]
    count = len(first) + len(links)
    body = b"".join(first + links)
    doc = decode_update(b"\1" + bytes((count & 127 | 128, count >> 7)) + b"\5\0" + body + b"\0")
    backwards = Update({5: doc.structs[5], 4: doc.structs[5][:1]})
    assert project(backwards, keep_list).structs[5] == doc.structs[5]
