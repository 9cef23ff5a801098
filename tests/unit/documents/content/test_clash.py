"""Two histories of one client under the same clocks."""

from __future__ import annotations

import pycrdt

from peatnode.documents.content.clash import join_histories
from peatnode.documents.content.homes import without_homeless
from peatnode.documents.content.state_sum import state_sum
from peatnode.documents.content.unit_sums import UnitSums
from peatnode.documents.yjs.causality import missing_for
from peatnode.documents.yjs.delete_set import DeleteSet
from peatnode.documents.yjs.merge import merge_updates
from peatnode.documents.yjs.structs import GC
from peatnode.documents.yjs.update import EMPTY_UPDATE, Update, decode_update, encode_update
from tests.support.copied_clients import open_doc

SUMS = UnitSums()
BASE = open_doc(5, b"\0\0").get_update()


def written(text: str, base: bytes = BASE, client: int = 5) -> Update:
    doc = open_doc(client, base)
    doc["/text"].insert(0, text)
    return decode_update(doc.get_update())


def text_of(update: Update) -> str:
    return str(open_doc(1, encode_update(update))["/text"])


def test_one_of_two_texts_stays_and_the_longer_one_goes_on() -> None:
    clash = join_histories(written("pay Alice"), written("pay Bob"), SUMS)
    assert clash.differences
    (difference,) = clash.differences
    assert (difference.client, difference.clock) == (5, 4)
    assert text_of(clash.joined) == ("pay Alice" if difference.mine_stays else "pay Bobce")
    assert clash.mine_loses is not clash.theirs_loses


def test_histories_of_which_one_goes_further_do_not_clash() -> None:
    assert join_histories(written("pay"), written("pay Bob"), SUMS).differences == ()
    assert join_histories(written("pay"), written("Bob", client=6), SUMS).differences == ()
    assert join_histories(written("pay"), EMPTY_UPDATE, SUMS).differences == ()


def test_what_is_deleted_has_only_a_place() -> None:
    one, other = written("Alice"), written("Bobby")
    gone = Update(other.structs, DeleteSet.from_ranges([(5, 0, 5)]))
    assert join_histories(one, gone, SUMS).differences == ()
    deleted = merge_updates([one, Update({}, gone.delete_set)])
    elsewhere = open_doc(5, BASE)
    elsewhere["/list"].extend([1, 2, 3, 4, 5])
    other = decode_update(elsewhere.get_update())
    assert join_histories(deleted, other, SUMS).differences


def test_halves_of_a_surrogate_pair_stay_together() -> None:
    clash = join_histories(written("a😀"), written("a😁"), SUMS)  # they have equal first halves
    assert clash.differences
    assert text_of(clash.joined) == ("a😀" if clash.theirs_loses else "a😁")


def test_what_stands_in_a_type_that_is_gone_is_garbage() -> None:
    one, other = written("x"), open_doc(5, BASE)
    other["deep"]["list"] = pycrdt.Array([])
    beside = open_doc(6, other.get_update())
    beside["deep"]["list"].append("honest")
    two = decode_update(beside.get_update())
    clash = join_histories(one, two, SUMS)
    assert clash.differences
    kept = clash.joined.structs[6][0]
    if clash.theirs_loses:
        assert kept.kind == GC
        assert clash.joined.delete_set.contains(6, 0)
    else:
        assert kept.kind != GC
    assert missing_for(clash.joined, {}) is None


def test_a_circle_is_left_to_the_check_of_what_is_missing() -> None:
    one, other = written("ab", client=5), written("xy", client=6)
    circle = {
        5: [one.structs[5][0]._replace(parent=None, origin=(6, 0))],
        6: [other.structs[6][0]._replace(parent=None, origin=(5, 0))],
    }
    update = Update(circle)
    assert without_homeless(update) is update
    assert missing_for(update, {}) is not None


def test_joined_content_has_one_sum() -> None:
    one, other = written("Alice"), written("Bob")
    sums = set()
    for pair in ((one, other), (other, one)):
        clash = join_histories(*pair, SUMS)
        assert clash.differences
        sums.add(state_sum(SUMS, clash.joined))
    assert len(sums) == 1
