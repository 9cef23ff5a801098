"""What a store keeps about peers: all of it comes back, in bounds, and damage of one entry harms no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from peatnode.documents.replica.keyspace import DEPARTURES, PEER, PEER_LOG
from peatnode.documents.replica.replica import Replica
from peatnode.errors import StorageFailed
from peatnode.ipc.messages import KeepMembership
from peatnode.model.members import (
    MAX_PEER_EVENTS,
    MAX_REMEMBERED_PEERS,
    Departure,
    MembershipReply,
    PeerEvent,
    PeerEventKind,
    RememberedPeer,
)
from peatnode.model.peer_limits import MAX_DEPARTURES
from tests.support.member_notes import MemberNotes
from tests.support.memory_kv import MemoryKeyValue, commit
from tests.support.store_files import put
from workers.store.engine.refusal import RequestRefused
from workers.store.peers.members import KeptMembers
from workers.store.scrub import ScrubPass

ADDRESSES = ("10.0.0.1:4433", "[fd00::1]:4433")
GONE = Departure("c.mesh", "0f" * 16, 1000.5)
EVENT = PeerEvent(999.5, "a.mesh", PeerEventKind.FAILED, "no answer")


def peer(name: str, last_seen: float = 500.25) -> RememberedPeer:
    return RememberedPeer(
        f"{name}.mesh", "ab" * 16, ADDRESSES, "0.2.0", 100.0, last_seen, 400.0, b"\1" * 16, 7
    )


def peers(count: int) -> tuple[RememberedPeer, ...]:
    return tuple(peer(f"n{number:04}", float(number)) for number in range(count))


class Kept:
    """Entries of a store in memory, and what was told of them."""

    def __init__(self) -> None:
        self.replica = Replica(MemoryKeyValue(), 1)
        self.notes = MemberNotes()
        self.members = KeptMembers(self.replica, self.notes)

    @property
    def entries(self) -> dict[bytes, bytes]:
        assert isinstance(self.replica.kv, MemoryKeyValue)
        return self.replica.kv.entries

    def keep(
        self,
        *kept: RememberedPeer,
        forgotten: tuple[str, ...] = (),
        departures: tuple[Departure, ...] = (),
        events: tuple[PeerEvent, ...] = (),
    ) -> None:
        self.members.keep(KeepMembership(kept, forgotten, departures, events))
        commit(self.replica)

    def names(self) -> list[str]:
        return [found.node_id.removesuffix(".mesh") for found in self.members.read().peers]


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_nothing_is_kept_at_first(kept: Kept) -> None:
    assert kept.members.read() == MembershipReply((), (), ())


def test_what_is_kept_comes_back(kept: Kept) -> None:
    kept.keep(peer("b"), peer("a"), departures=(GONE,), events=(EVENT,))
    assert kept.members.read() == MembershipReply((peer("a"), peer("b")), (GONE,), (EVENT,))


def test_a_change_replaces_what_it_names_and_leaves_the_other_peers(kept: Kept) -> None:
    kept.keep(peer("a"), peer("b"), peer("c"), departures=(GONE,), events=(EVENT,))
    later = replace(peer("b"), last_seen=600.0, documents=-1, root=b"")
    kept.keep(later, forgotten=("c.mesh", "unknown.mesh"))
    assert kept.members.read() == MembershipReply((peer("a"), later), (), ())


def test_a_change_that_is_not_on_disk_is_gone(kept: Kept) -> None:
    kept.keep(peer("a"))
    kept.members.keep(KeepMembership((peer("b"),), ("a.mesh",), (GONE,), (EVENT,)))
    kept.replica.forget()
    assert kept.members.read() == MembershipReply((peer("a"),), (), ())


def test_the_bytes_on_disk_are_those_of_the_first_version(kept: Kept) -> None:
    """Fields may be added at the end. An entry of another version is read: its further fields are left out."""
    kept.keep(peer("a"), departures=(GONE,), events=(EVENT,))
    fields = b"".join(
        (
            b"\xa6a.mesh\xd9\x20" + b"ab" * 16,
            b"\x92\xad10.0.0.1:4433\xae[fd00::1]:4433\xa50.2.0",
            b"\xcb\x40\x59\0\0\0\0\0\0\xcb\x40\x7f\x44\0\0\0\0\0\xcb\x40\x79\0\0\0\0\0\0",
            b"\xc4\x10" + b"\1" * 16 + b"\7",
            b"\xcb" + bytes(8),
        )
    )
    assert kept.entries[PEER + b"a.mesh"] == b"\x9a" + fields
    kept.entries[PEER + b"a.mesh"] = b"\x9b" + fields + b"\xc3"
    assert kept.members.read().peers == (peer("a"),)
    assert kept.entries[DEPARTURES].startswith(b"\x91\x93\xa6c.mesh")
    assert kept.entries[PEER_LOG].endswith(b"\xa6a.mesh\xa6failed\xa9no answer")


# --- bounds


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (KeepMembership(peers(MAX_REMEMBERED_PEERS + 1), (), (), ()), "peers"),
        (KeepMembership((), ("x",) * (MAX_REMEMBERED_PEERS + 1), (), ()), "forgotten"),
        (KeepMembership((), (), (GONE,) * (MAX_DEPARTURES + 1), ()), "departures"),
        (KeepMembership((), (), (), (EVENT,) * (MAX_PEER_EVENTS + 1)), "events"),
        (KeepMembership((replace(peer("a"), node_id=""),), (), (), ()), "peers"),
    ],
)
def test_a_change_beyond_the_bounds_is_refused_as_a_whole(
    kept: Kept, change: KeepMembership, field: str
) -> None:
    with pytest.raises(RequestRefused) as caught:
        kept.members.keep(change)
    assert (str(caught.value.code), caught.value.where) == ("invalid", field)
    assert kept.replica.open_batch.is_empty


def test_the_longest_absent_make_room(kept: Kept) -> None:
    full = peers(MAX_REMEMBERED_PEERS)
    kept.keep(*full)
    kept.keep(peer("x", 9e9), peer("y", 9e9), full[0])
    assert kept.names() == ["n0000", *[f"n{number:04}" for number in range(3, 1024)], "x", "y"]


def test_the_forgotten_make_room(kept: Kept) -> None:
    full = peers(MAX_REMEMBERED_PEERS)
    kept.keep(*full)
    kept.keep(peer("x"), forgotten=(full[700].node_id,))
    assert len(kept.names()) == MAX_REMEMBERED_PEERS
    assert "n0000" in kept.names()


# --- damage


@pytest.mark.parametrize("damaged", [b"", b"?", b"\xc1", b"\x91\xa1b", b"\x99" + b"\xc0" * 9])
def test_a_damaged_peer_is_reported_and_dropped(kept: Kept, damaged: bytes) -> None:
    kept.keep(peer("a"), peer("b"), peer("c"), departures=(GONE,), events=(EVENT,))
    kept.entries[PEER + b"b.mesh"] = damaged
    assert kept.members.read() == MembershipReply((peer("a"), peer("c")), (GONE,), (EVENT,))
    assert kept.notes.names == ["b.mesh"]
    kept.keep(peer("c"))
    assert PEER + b"b.mesh" not in kept.entries
    kept.notes.names.clear()
    assert kept.names() == ["a", "c"]
    assert kept.notes.names == []


def test_the_entry_of_another_peer_is_damage(kept: Kept) -> None:
    kept.keep(peer("a"), peer("b"))
    kept.entries[PEER + b"b.mesh"] = kept.entries[PEER + b"a.mesh"]
    assert kept.names() == ["a"]
    assert kept.notes.names == ["b.mesh"]


def test_what_is_written_anew_after_damage_stays(kept: Kept) -> None:
    kept.keep(peer("a"), peer("b"))
    kept.entries[PEER + b"b.mesh"] = b"?"
    assert kept.names() == ["a"]
    kept.members.keep(KeepMembership((peer("b"),), (), (), ()))
    kept.keep(peer("a"))  # in the same batch
    kept.keep(peer("a"))
    assert kept.names() == ["a", "b"]


@pytest.mark.parametrize(("key", "name"), [(DEPARTURES, "departures"), (PEER_LOG, "log")])
@pytest.mark.parametrize("damaged", [b"", b"\xc1", b"\x07"])
def test_a_damaged_list_is_reported_and_dropped(
    kept: Kept, key: bytes, name: str, damaged: bytes
) -> None:
    kept.keep(peer("a"), departures=(GONE,), events=(EVENT,))
    kept.entries[key] = damaged
    reply = kept.members.read()
    assert reply.peers == (peer("a"),)
    assert reply.departures == (() if key == DEPARTURES else (GONE,))
    assert reply.events == (() if key == PEER_LOG else (EVENT,))
    assert name in kept.notes.names[0]


def test_of_a_list_only_what_is_damaged_is_dropped(kept: Kept) -> None:
    kept.keep(events=(EVENT, replace(EVENT, peer="b.mesh"), replace(EVENT, peer="d.mesh")))
    kept.entries[PEER_LOG] = kept.entries[PEER_LOG].replace(b"\xa6b.mesh", b"\xc4\x05.mesh")
    assert [event.peer for event in kept.members.read().events] == ["a.mesh", "d.mesh"]
    assert kept.notes.names == ["the log of peers"]


class _Unreadable(MemoryKeyValue):
    def scan(self, start: bytes, end: bytes, reverse: bool = False):  # type: ignore[no-untyped-def]
        for key, value in super().scan(start, end, reverse):
            if key.startswith(PEER):
                raise StorageFailed("Corruption: block 7")
            yield key, value


def test_the_scrub_reads_what_is_kept_of_peers() -> None:
    replica = Replica(_Unreadable(), 1)
    put(replica, "one", {"a": 1})
    KeptMembers(replica, MemberNotes()).keep(KeepMembership((peer("a"),), (), (), ()))
    commit(replica)
    scrub = ScrubPass(replica)
    with pytest.raises(StorageFailed, match="block 7"):
        scrub.advance(1.0, lambda: 0.0)
