"""Updates that the local store refused."""

from __future__ import annotations

import random

from peatnode.protocol.sync.refusals import MAX_REFUSALS, Refusals, RefusedDocument


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
        assert len(refusals) <= MAX_REFUSALS
    indexed = set().union(*refusals._keys.values())
    assert indexed == set(refusals._by_key)
    assert all(refusals._keys.values())
