"""A document that the store refuses makes a pull neither fetch it again, nor compare the rest bucket by bucket."""

from __future__ import annotations

import pytest

from peatnode.documents.replica.index.hash_tree import bucket_of
from peatnode.protocol.sync.refusals import MAX_REFUSALS, Refusals, RefusedDocument
from tests.support.placed_names import BUCKET, IN_ONE_BUCKET, position_of
from tests.support.two_stores import TwoStores, write

MANY = 500


def joining(refused: str) -> TwoStores:
    """The local store is empty, and knows that it has refused a document."""
    stores = TwoStores(most_listed=1000)
    for number in range(MANY):
        write(stores.theirs, f"n{number}")
    write(stores.theirs, refused)
    stores.own.refused.add(("notes", refused))
    refusal = RefusedDocument("notes", refused, "peer", 0.0, "it leaps")
    fingerprint = stores.theirs.documents["notes", refused].fingerprint
    stores.refusals.add(refusal, fingerprint)
    return stores


def test_an_empty_store_fetches_all_but_the_bucket_of_what_it_has_refused() -> None:
    stores = joining("refused")
    assert stores.pull().is_done
    assert stores.differ() == {("notes", "refused")}
    assert [ask.indexes for ask in stores.asked] == [(bucket_of(position_of("notes", "refused")),)]
    assert stores.questions["AskUpdates"] == 0, "no other document is in that bucket"
    assert stores.pull().progress.found == 0


def test_the_others_of_its_bucket_are_fetched_one_by_one() -> None:
    stores = joining(IN_ONE_BUCKET[3])
    for name in IN_ONE_BUCKET:
        write(stores.theirs, name)
    assert stores.pull().is_done
    assert stores.differ() == {("notes", IN_ONE_BUCKET[3])}
    assert [ask.indexes for ask in stores.asked] == [(BUCKET,)]


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_range_is_fetched_again_when_nothing_there_is_refused_any_more(is_empty: bool) -> None:
    stores = joining("refused")
    if not is_empty:
        write(stores.own, "mine")
    stores.own.refused.clear()
    stores.refusals.forget("notes", "refused")
    assert stores.pull().is_done
    assert stores.differ() == set()
    assert stores.questions["AskBuckets"] == 0


def test_the_buckets_of_refusals_are_those_of_documents_that_are_refused_now() -> None:
    refusals = Refusals()

    def add(name: str, fingerprint: bytes) -> None:
        refusals.add(RefusedDocument("notes", name, "peer", 0.0, ""), fingerprint)

    def found() -> list[int]:
        return [b for b in range(BUCKET - 2, BUCKET + 3) if refusals.are_within(b, b)]

    one, two = IN_ONE_BUCKET[:2]
    add(one, b"1")
    add(one, b"2")
    add(two, b"1")
    assert found() == [BUCKET]
    refusals.forget("notes", one)
    assert found() == [BUCKET]
    assert refusals.are_within(0, BUCKET)
    assert not refusals.are_within(0, BUCKET - 1)
    assert not refusals.are_within(BUCKET + 1, 65_535)
    for number in range(MAX_REFUSALS):
        add(f"newer-{number}", b"1")
    assert refusals.are_within(BUCKET, BUCKET), "older ones may lie anywhere"
    refusals.forget_peer("peer")
    assert found() == []
    add(two, b"1")
    refusals.resume("peer")
    assert found() == []
