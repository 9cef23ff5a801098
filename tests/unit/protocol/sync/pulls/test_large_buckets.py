"""A bucket may hold more than one answer has room for: whoever names documents can compute where they lie."""

from __future__ import annotations

import random

import pytest

from peatnode.documents.replica.index.hash_tree import bucket_of
from peatnode.model.documents import BucketEntry
from peatnode.model.peer_limits import MAX_TREE_KEY_BYTES
from peatnode.model.sync import (
    BucketsReply,
)
from peatnode.protocol.sync.ask import MAX_READS
from peatnode.protocol.sync.pulls.listing import ComparedListing
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Buckets
from tests.support.placed_names import BUCKET, IN_ONE_BUCKET, position_of
from tests.support.two_stores import TwoStores, write

OTHERS = [f"other-{number}" for number in range(40)]
"""They lie anywhere."""


def test_the_names_lie_in_one_bucket() -> None:
    assert {bucket_of(position_of("notes", name)) for name in IN_ONE_BUCKET} == {BUCKET}
    assert len(IN_ONE_BUCKET) > 2 * MAX_READS


@pytest.mark.parametrize("most_listed", [1, 2, 1000])
def test_what_is_in_a_bucket_is_compared_to_its_last_entry(
    most_listed: int, rng: random.Random
) -> None:
    for _ in range(10):
        stores = TwoStores(most_listed)
        write(stores.own, "mine")
        for name in [*IN_ONE_BUCKET, *OTHERS]:
            own, theirs = rng.choice([(0, 1), (1, 0), (1, 1), (1, 1), (1, 2), (2, 1)])
            if own:
                write(stores.own, name, own)
            if theirs:
                write(stores.theirs, name, theirs)
        pull = stores.pull()
        assert pull.is_done
        assert not pull.has_failed
        newer = {
            key
            for key in stores.differ()
            if key not in stores.own.documents
            or stores.own.documents[key].vector[1] < stores.theirs.documents[key].vector[1]
        }
        assert newer == set()
        assert pull.progress.unexplored == 0


def test_an_answer_has_a_bounded_number_of_entries_and_so_has_the_local_listing() -> None:
    stores = TwoStores(most_listed=1)
    write(stores.own, "mine")
    for name in IN_ONE_BUCKET:
        write(stores.theirs, name)
        write(stores.own, name)
    write(stores.theirs, IN_ONE_BUCKET[-1], 2)
    stores.pull()
    assert stores.longest == MAX_READS
    assert stores.differ() == set()
    assert stores.reads[stores.own] < 3 * len(IN_ONE_BUCKET), "each entry is listed once"


@pytest.mark.parametrize("has_more", ["own", "theirs"])
def test_many_entries_of_one_side_hide_nothing_of_the_other(has_more: str) -> None:
    stores = TwoStores(most_listed=1)
    write(stores.own, "mine")
    last = max(IN_ONE_BUCKET, key=lambda name: position_of("notes", name))
    for name in IN_ONE_BUCKET:
        if name != last:
            write(getattr(stores, has_more), name)
    write(stores.theirs, last)
    stores.pull()
    assert ("notes", last) in stores.own.documents
    assert stores.differ() == set()


def test_a_listing_that_was_ended_goes_on_within_the_bucket_and_leaves_out_nothing(
    rng: random.Random,
) -> None:
    """A bucket that takes longer than a pull without documents keeps nobody from what is behind it."""
    stores = TwoStores(most_listed=1)
    for name in [*IN_ONE_BUCKET, *OTHERS]:
        write(stores.theirs, name)
        write(stores.own, name, 2)  # nothing is to be fetched
    first, pulls = b"", 0
    while stores.listed.keys() != stores.theirs.documents.keys():
        stores.answers = rng.randrange(6, 9)
        pull = stores.pull(first)
        assert not pull.is_done, "each pull is too short to compare all"
        assert not pull.applied
        first, pulls = pull.reached, pulls + 1
        assert pulls < 40


def test_a_comparison_that_begins_within_a_bucket_ends_with_its_first_part() -> None:
    stores = TwoStores(most_listed=1)
    for name in [*IN_ONE_BUCKET, *OTHERS]:
        write(stores.theirs, name)
        write(stores.own, name, 2)
    pull = stores.pull(position_of("notes", IN_ONE_BUCKET[20]))
    assert pull.is_done
    assert pull.progress.unexplored == 0
    listed = [id for _, id in stores.listed]
    assert listed[: len(IN_ONE_BUCKET) - 20] == IN_ONE_BUCKET[20:]
    assert listed[-20:] == IN_ONE_BUCKET[:20]
    assert stores.listed.keys() == stores.theirs.documents.keys()


# --- what no store lists


def entry(name: str) -> BucketEntry:
    return BucketEntry("notes", name, 1, False, bytes(16))


def listing(remote: Buckets, tree_key: bytes = b"") -> ComparedListing:
    return ComparedListing((BUCKET,), tree_key, remote, BucketsReply((), b""))


def checked(remote: Buckets, tree_key: bytes = b"") -> int:
    found = listing(remote, tree_key)
    pairs = list(found.pairs())
    for one, _ in pairs:
        found.check_place(one)
    return len(pairs)


def test_entries_in_order_are_taken_and_others_are_the_fault_of_the_peer() -> None:
    entries = tuple(entry(name) for name in IN_ONE_BUCKET)
    place = position_of("notes", IN_ONE_BUCKET[3])
    assert checked(Buckets(1, entries)) == len(entries)
    assert checked(Buckets(1, entries[3:]), place) == len(entries) - 3
    assert checked(Buckets(1, entries, place)) == 3, "what is listed again with the next question"
    for wrong in [
        Buckets(1, (entries[1], entries[0])),
        Buckets(1, (entries[0], entries[0])),
        Buckets(1, (entry("elsewhere"),)),
    ]:
        with pytest.raises(PeerFault):
            checked(wrong)
    with pytest.raises(PeerFault):
        checked(Buckets(1, entries), place)


@pytest.mark.parametrize(
    "further",
    [
        position_of("notes", IN_ONE_BUCKET[2]),
        position_of("notes", IN_ONE_BUCKET[3]),
        (BUCKET + 1).to_bytes(2),
        position_of("notes", IN_ONE_BUCKET[4]) + bytes(MAX_TREE_KEY_BYTES),
    ],
)
def test_a_listing_goes_on_in_its_buckets(further: bytes) -> None:
    place = position_of("notes", IN_ONE_BUCKET[3])
    with pytest.raises(PeerFault):
        listing(Buckets(1, (), further), place)
