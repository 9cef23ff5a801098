"""What is kept of the neighbours that a peer tells."""

from __future__ import annotations

import pytest

from peatnode.model.peer_limits import MAX_NEIGHBOURS
from peatnode.protocol.sync.neighbours.heard import HeardNeighbours
from peatnode.protocol.wire.errors import PeerFault
from peatnode.protocol.wire.messages import Neighbours

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def instance(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_a_list_then_differences() -> None:
    heard = HeardNeighbours()
    assert heard.names == ()
    heard.receive(Neighbours(True, (("b", B), ("a", A)), ()))
    assert heard.names == ("a", "b")
    heard.receive(Neighbours(False, (("c", C),), (A,)))
    assert (heard.names, set(heard)) == (("b", "c"), {B, C})
    assert A not in heard
    heard.receive(Neighbours(False, (), (A,)))
    heard.receive(Neighbours(False, (("b2", B),), ()))
    assert heard.names == ("b2", "c")
    heard.receive(Neighbours(True, (), ()))
    assert (heard.names, len(heard)) == ((), 0)


def test_a_difference_without_a_list_before_it_is_a_list() -> None:
    heard = HeardNeighbours()
    heard.receive(Neighbours(False, (("a", A),), (B,)))
    assert heard.names == ("a",)


def test_no_more_are_kept_than_a_node_has_connections() -> None:
    heard = HeardNeighbours()
    many = tuple((f"n{number}", instance(number)) for number in range(65_000))
    assert heard.receive(Neighbours(True, many, ())) == 65_000 - MAX_NEIGHBOURS
    assert len(heard) == MAX_NEIGHBOURS == len(heard.names)
    assert heard.receive(Neighbours(False, many[:3], ())) == 0, "it knows them"
    assert heard.receive(Neighbours(False, (("last", A),), (instance(0),))) == 0
    assert "last" in heard.names


@pytest.mark.parametrize(
    "message",
    [
        Neighbours(True, (("a\nb", A),), ()),
        Neighbours(True, (("a\x1b[2J", A),), ()),
        Neighbours(True, (("a\u202eb", A),), ()),
        Neighbours(True, (("", A),), ()),
        Neighbours(True, (("a" * 254, A),), ()),
        Neighbours(True, (("a", b"short"),), ()),
        Neighbours(False, (), (b"",)),
    ],
    ids=repr,
)
def test_what_no_node_can_say_is_the_fault_of_the_peer(message: Neighbours) -> None:
    heard = HeardNeighbours()
    heard.receive(Neighbours(True, (("b", B),), ()))
    with pytest.raises(PeerFault):
        heard.receive(message)
    assert heard.names == ("b",)
