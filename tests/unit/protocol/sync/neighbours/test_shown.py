"""However many neighbours peers tell, what is shown of them is bounded, and each peer has its share."""

from __future__ import annotations

from dataclasses import replace

import orjson

from peatnode.api.encode_peer import encode_peers, encode_topology
from peatnode.model.peer_limits import MAX_NEIGHBOURS
from peatnode.protocol.sync.neighbours.shown import MAX_SHOWN_BYTES, NAME_OVERHEAD, fair_shares
from peatnode.texts import MAX_NAME_BYTES
from tests.support.replies import NODE, PEER, PEERS


def cost(names: tuple[str, ...]) -> int:
    return sum(len(name) + NAME_OVERHEAD for name in names)


def names(prefix: str, count: int, size: int = 0) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}".ljust(size, "x") for number in range(count))


def test_what_fits_is_shown_whole() -> None:
    mesh = [names("node-of-a-mesh-", 199, 30)] * 200
    assert fair_shares(mesh) == mesh
    assert fair_shares([]) == []


def test_a_peer_with_many_takes_nothing_from_one_with_few() -> None:
    few, many, more = names("a", 10), names("b", 500), names("c", 600)
    room = cost(few) + 2 * cost(many[:100])
    shown = fair_shares([many, few, more], room)
    assert shown[1] == few
    assert shown[0] == many[: len(shown[0])]
    assert min(len(shown[0]), len(shown[2])) >= 99
    assert sum(map(cost, shown)) <= room


def test_the_answers_about_the_largest_lists_are_bounded() -> None:
    """Of 512 peers with 512 neighbours each, all of other names."""
    for size in (MAX_NAME_BYTES, 1):
        lists = [names(f"{of}-", MAX_NEIGHBOURS, size) for of in range(MAX_NEIGHBOURS)]
        shown = fair_shares(lists)
        assert sum(map(cost, shown)) <= MAX_SHOWN_BYTES
        assert all(shown), "each peer has its share"
        peers = tuple(replace(PEER, id=f"p{at}", neighbours=each) for at, each in enumerate(shown))
        reply = replace(PEERS, peers=peers)
        assert len(orjson.dumps(encode_topology(NODE, reply))) < 12_000_000
        assert len(orjson.dumps(encode_peers(reply))) < 4_000_000
