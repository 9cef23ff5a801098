"""Updates that the local store refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from peatnode.protocol.sync.refusals import MAX_OLDER, MAX_REFUSALS, Refusals, RefusedDocument


def test_what_was_refused_is_fetched_again_after_a_decision_of_an_operator() -> None:
    refusals = Refusals()
    refusals.add(refused("a"), b"1")
    for decisions, is_refused in ((0, True), (1, False)):
        changes = refusals.changes
        refusals.decided(decisions)
        assert refusals.is_refused("notes", "a", b"1") is is_refused
        assert (refusals.changes == changes) is is_refused
    refusals.add(refused("a"), b"1")
    refusals.decided(1)
    assert refusals.of_peer("node-b") == (refused("a"),)
    refusals.forget("notes", "a")
    refusals.decided(0)  # of the next process of the store
    assert len(refusals) == 0


def refused(id: str, peer: str = "node-b") -> RefusedDocument:
    return RefusedDocument("notes", id, peer, 0.0, "too large")


def test_a_document_that_has_changed_is_fetched_again() -> None:
    refusals = Refusals()
    refusals.add(refused("a"), b"1")
    refusals.add(refused("a"), b"2")
    refusals.add(refused("b"), b"1")
    refusals.forget("notes", "a")
    assert not refusals.is_refused("notes", "a", b"1")
    assert not refusals.is_refused("notes", "a", b"2")
    assert refusals.is_refused("notes", "b", b"1")


def test_what_was_refused_for_a_pause_is_fetched_also_from_others_when_the_pause_ends() -> None:
    """A peer that has taken a deletion passes it on: it is refused there, too, because of who made it."""
    refusals = Refusals()
    refusals.pause("node-x")
    refusals.add(refused("a", "node-x"), b"1")
    refusals.add(refused("a", "node-b"), b"1")
    refusals.add(refused("b", "node-b"), b"2")
    before = refusals.changes
    refusals.resume("node-x")
    assert refusals.paused == set()
    assert not refusals.is_refused("notes", "a", b"1")
    assert not refusals.is_refused("notes", "b", b"2")
    assert (len(refusals), refusals.of_peer("node-b")) == (0, ())
    assert refusals.changes > before
    refusals.add(refused("a"), b"1")
    refusals.forget("notes", "a")
    assert len(refusals) == 0


def test_its_index_agrees_with_it_whatever_comes(rng: random.Random) -> None:
    refusals = Refusals()
    for _ in range(20_000):
        match rng.randrange(10):
            case 0:
                refusals.forget("notes", str(rng.randrange(900)))
            case 1 if rng.random() < 0.01:
                refusals.forget_peer(rng.choice(["node-b", "node-c"]))
            case _:
                refusal = refused(str(rng.randrange(900)), rng.choice(["node-b", "node-c"]))
                refusals.add(refusal, rng.randbytes(1))
        assert len(refusals.all()) <= MAX_REFUSALS
    indexed = set().union(*refusals._keys.values())
    assert indexed == set(refusals._by_key)
    assert all(refusals._keys.values())


def test_older_refusals_keep_documents_from_being_fetched_again() -> None:
    """A peer whose expiries are refused by the thousand sends none of them for each comparison of roots."""
    refusals, count = Refusals(), 20 * MAX_REFUSALS
    for number in range(count):
        refusals.add(refused(str(number)), b"%d" % number)
    refusals.add(refused("other", "node-c"), b"1")
    assert (len(refusals), len(refusals.all())) == (count + 1, MAX_REFUSALS)
    for number in (0, 1, count - 1):
        assert refusals.is_refused("notes", str(number), b"%d" % number)
        assert not refusals.is_refused("notes", str(number), b"x")
    for number in (0, count - 1):
        refusals.forget("notes", str(number))
        assert not refusals.is_refused("notes", str(number), b"%d" % number)
    refusals.forget_peer("node-b")
    assert not refusals.is_refused("notes", "1", b"1")
    assert (len(refusals), refusals.is_refused("notes", "other", b"1")) == (1, True)


@pytest.mark.parametrize("end", [lambda it: it.decided(1), lambda it: it.resume("node-b")])
def test_older_refusals_are_bounded_and_end(end: Callable[[Refusals], None]) -> None:
    refusals = Refusals()
    for number in range(MAX_OLDER + 3 * MAX_REFUSALS):
        refusals.add(refused(str(number), f"node-{number % 7}"), b"1")
        refusals.add(refused(str(number), f"node-{number % 7}"), b"")  # is said, and fetched again
        assert len(refusals) <= MAX_OLDER + MAX_REFUSALS
    end(refusals)
    assert len(refusals) == 0
    assert not refusals.is_refused("notes", str(number - 2 * MAX_REFUSALS), b"1")
