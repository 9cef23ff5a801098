"""What a node says while it fetches documents: never more than what differs, nearly as much, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from peatnode.model.documents import DocumentUpdate
from peatnode.protocol.sync.peer_status import PeerSyncStatus
from peatnode.protocol.sync.pulls.progress import RATE_SECONDS
from peatnode.protocol.sync.session import ROOT_SECONDS
from tests.sim.node import Node
from tests.sim.test_bytes import light_world, written
from tests.sim.world import Weather, World

MANY = 1500


@dataclass(frozen=True)
class Sample:
    """What one node says of the other, and what is."""

    at: float
    own: int
    status: PeerSyncStatus
    differing: int
    """The documents that differ in truth."""


class Pair:
    """A node that fetches from another one."""

    def __init__(self, delay: float = 0.005) -> None:
        self.world: World = light_world(0)
        self.world.weather = Weather(delay=delay)
        self.source, self.node = self.world.nodes
        self.samples: list[Sample] = []

    def fill(self, node: Node, names: range, client: int = 1) -> None:
        for number in names:
            node.store.apply(written(f"n{number}", client), "")

    def connect(self) -> None:
        for node in self.world.nodes:
            node._open_feed()
        self.world.run(1.0)
        self.world._connect(self.source, self.node)

    def differing(self) -> int:
        held = [
            {(key, one.fingerprint) for key, one in node.store.documents.items()}
            for node in self.world.nodes
        ]
        return len({key for key, _ in held[0] ^ held[1]})

    def run(self, seconds: float, step: float = 0.1) -> None:
        end = self.world.now + seconds
        while self.world.now < end:
            self.world.run(step)
            for status in self.node.machine.sync_statuses(now=self.node.now()):
                own = self.node.machine.documents
                self.samples.append(Sample(self.world.now, own, status, self.differing()))

    def run_until_equal(self, step: float = 0.1) -> None:
        end = self.world.now + 120.0
        while self.differing():
            assert self.world.now < end
            self.run(step, step)

    def compared(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.status.behind >= 0]

    def check(self, least_part: float) -> None:
        """Never more is said to differ than does, nor less than a part of it; the time that is told is right within a
        factor of four."""
        self.run_until_equal()
        end = self.world.now
        samples = [sample for sample in self.compared() if sample.at < end - 0.5]
        assert len(samples) > 10
        for sample in samples:
            assert 0 < sample.status.behind <= sample.differing, sample
            assert not sample.status.is_in_sync
        counts = [sample.own for sample in samples]
        assert counts == sorted(counts)
        later = samples[len(samples) // 2 :]
        for sample in later:
            assert sample.status.behind >= least_part * sample.differing, sample
            assert sample.status.documents_per_second > 0, sample
            told, right = sample.status.seconds_left, end - sample.at
            assert right / 4 - 2 < told < right * 4 + 2, (right, sample)


def test_an_empty_node_joins() -> None:
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    pair.connect()
    pair.check(least_part=0.99)
    sample = pair.compared()[20]
    assert sample.status.documents == MANY
    text = f"fetching: {sample.own:,} of {MANY:,} documents, {sample.status.documents_per_second:,.0f}/s"
    assert sample.status.reason.startswith(text + ", about ")


def test_a_connection_that_replaces_another_one_is_no_news() -> None:
    """Both sides have dialled, and the handshake of the connection that is kept took longer."""
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    first, second = sorted(pair.world.nodes, key=lambda node: node.instance, reverse=True)
    for node in pair.world.nodes:
        node._open_feed()
    pair.world.run(1.0)
    pair.world._connect(first, second)
    pair.run(0.5)
    count = len(pair.compared())
    pair.world._connect(second, first)
    pair.run(0.3, step=0.005)
    assert [each.peer for each in second.machine.all_sessions] == [second.last_peer]
    assert 0 < pair.samples[-1].own < MANY
    for sample in pair.compared()[count:]:
        assert sample.status.reason.startswith(f"fetching: {sample.own:,} of {MANY:,}"), sample
        assert sample.status.behind >= 0.99 * sample.differing
    pair.check(least_part=0.99)


def test_a_node_catches_up_with_one_that_has_more() -> None:
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    pair.fill(pair.node, range(MANY // 3))
    pair.connect()
    pair.check(least_part=0.99)


def test_a_node_that_starts_again_goes_on_from_what_it_has() -> None:
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    pair.connect()
    pair.run(1.0)
    pair.node.kill()
    pair.run(1.0)
    before = len(pair.node.store.documents)
    assert 0 < before < MANY
    pair.samples.clear()
    pair.node.start(is_new_instance=True)
    pair.world.run(0.5)
    pair.world._connect(pair.source, pair.node)
    pair.check(least_part=0.99)
    assert pair.compared()[0].own >= before


def test_both_sides_have_written_while_they_were_apart() -> None:
    """The numbers of documents say little of how many differ."""
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    pair.fill(pair.node, range(MANY // 2, MANY + MANY // 4))
    pair.connect()
    pair.run_until_equal()
    for sample in pair.compared()[5:]:
        assert sample.status.behind <= max(earlier.differing for earlier in before(pair, sample))


def before(pair: Pair, sample: Sample) -> list[Sample]:
    """Since the last root of the peer, which may be as old as a period."""
    return [one for one in pair.samples if sample.at - 1.3 * ROOT_SECONDS <= one.at <= sample.at]


@pytest.mark.parametrize("count", [40, MANY])
def test_many_documents_differ_in_an_equal_number(count: int) -> None:
    pair = Pair(delay=0.2)
    for node in (pair.source, pair.node):
        pair.fill(node, range(MANY))
    pair.fill(pair.source, range(count), client=2)
    pair.connect()
    if count < MANY:
        pair.run_until_equal(step=0.005)  # so few documents may come within a tenth of a second
        told = max(sample.status.behind for sample in pair.compared())
        assert count // 2 < told <= count
    else:
        pair.check(least_part=0.5)
    assert pair.compared()[0].status.behind >= 1
    reasons = {sample.status.reason for sample in pair.compared()}
    assert any(reason.startswith("fetching: at least ") for reason in reasons), reasons


def test_a_peer_that_has_fewer_is_said_to() -> None:
    pair = Pair()
    pair.fill(pair.source, range(MANY // 4))
    pair.fill(pair.node, range(MANY))
    pair.connect()
    pair.run_until_equal()
    first = pair.compared()[0]
    assert first.status.behind == MANY - MANY // 4
    assert first.status.reason == f"it has {MANY // 4:,} documents, this node {MANY:,}"
    assert {sample.status.documents_per_second for sample in pair.samples} == {0.0}


def test_a_pull_that_stalls_has_no_rate_and_tells_no_time() -> None:
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    pair.connect()
    pair.run(2.0)
    assert pair.samples[-1].status.documents_per_second > 0
    (wire,) = set(pair.node.wires.values())
    wire.is_open = False  # nothing arrives, and nobody knows it
    pair.run(RATE_SECONDS + 1)
    stalled = pair.samples[-1]
    assert stalled.status.documents_per_second == 0
    assert stalled.status.seconds_left < 0
    assert stalled.status.behind == stalled.differing
    assert stalled.status.reason.endswith(f"{stalled.own:,} of {MANY:,} documents, 0/s")


def test_pushes_that_arrive_meanwhile_count_too() -> None:
    pair = Pair()
    pair.fill(pair.source, range(MANY))
    pair.connect()
    for number in range(20):
        pair.run(0.1)
        pair.source.write(("notes", f"new-{number}"))
    pair.run_until_equal()
    own = [sample.own for sample in pair.samples]
    assert own == sorted(own)
    for sample in pair.compared():
        assert sample.status.behind <= sample.differing or not sample.differing


def test_a_deletion_is_no_document() -> None:
    pair = Pair()
    pair.fill(pair.source, range(50))
    for number in range(20):
        pair.source.store.apply(DocumentUpdate("notes", f"n{number}", 1, True, 0.0, b""), "")
    pair.connect()
    pair.run_until_equal()
    pair.run(ROOT_SECONDS * 2)
    last = pair.samples[-1]
    assert (last.own, last.status.documents, last.status.behind) == (30, 30, 0)
    assert last.status.is_in_sync
