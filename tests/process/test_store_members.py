"""What the store process keeps about peers: across kills, new generations, repairs, and disks that refuse writes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from peatnode.documents.replica.keyspace import PEER
from peatnode.errors import AskFailed
from peatnode.ipc.messages import GetStore, KeepMembership, ReadMembership
from peatnode.model.members import (
    MAX_PEER_EVENTS,
    Departure,
    MembershipKept,
    MembershipReply,
    PeerEvent,
    PeerEventKind,
    RememberedPeer,
)
from tests.support.store_node import StoreNode
from workers.store.disk.database import Database
from workers.store.disk.open import mark_damaged

pytestmark = pytest.mark.timeout(60)

GONE = Departure("c.mesh", "0f" * 16, 1000.5)
EVENT = PeerEvent(999.5, "a.mesh", PeerEventKind.FAILED, "no answer")


def peer(name: str, last_seen: float = 500.0) -> RememberedPeer:
    addresses = ("10.0.0.1:4433",)
    return RememberedPeer(name, "ab" * 16, addresses, "0.2.0", 100.0, last_seen, 0.0, b"\1" * 16, 7)


KEPT = KeepMembership((peer("a.mesh"), peer("b.mesh")), (), (GONE,), (EVENT,))
FOUND = MembershipReply(KEPT.peers, KEPT.departures, KEPT.events)


async def test_what_is_kept_survives_a_kill_a_repair_and_a_new_generation(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        assert await node.ask(ReadMembership()) == MembershipReply((), (), ())
        before = (await node.ask(GetStore())).sequence
        writes = [node.put("c", f"d{n}", b"{}") for n in range(20)]
        kept, *_ = await asyncio.gather(node.ask(KEPT), *writes)
        assert kept == MembershipKept()
        assert (await node.ask(GetStore())).sequence == before + 20
        generation = (await node.ask(GetStore())).generation
        node.store.kill()
        await node.store.wait_ready()
        assert await node.ask(ReadMembership()) == FOUND
        assert (await node.ask(GetStore())).generation == generation
    mark_damaged(tmp_path / "store", "a test says so")
    async with StoreNode(tmp_path, engine=False) as node:
        assert (await node.ask(GetStore())).generation != generation
        assert await node.ask(ReadMembership()) == FOUND
        await node.ask(KeepMembership((peer("d.mesh"),), ("a.mesh",), (), ()))
        found = await node.ask(ReadMembership())
        assert found == MembershipReply((peer("b.mesh"), peer("d.mesh")), (), ())


async def test_a_change_beyond_the_bounds_is_invalid(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        with pytest.raises(AskFailed) as caught:
            await node.ask(KeepMembership((), (), (), (EVENT,) * (MAX_PEER_EVENTS + 1)))
        assert (caught.value.code, caught.value.where) == ("invalid", "events")


async def test_a_damaged_entry_is_a_problem_until_the_next_start(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        await node.ask(KEPT)
    database = Database(tmp_path / "store")
    database.write([(PEER + b"a.mesh", b"?")])
    database.sync()
    database.close()
    async with StoreNode(tmp_path, engine=False) as node:
        found = await node.ask(ReadMembership())
        assert found == MembershipReply((peer("b.mesh"),), (GONE,), (EVENT,))
        problem = node.store.problems["members"]
        assert "a.mesh" in problem.message
        assert not problem.blocks_readiness
        await node.ask(KeepMembership((), (), (GONE,), (EVENT,)))
    async with StoreNode(tmp_path, engine=False) as node:
        assert await node.ask(ReadMembership()) == found
        assert "members" not in node.store.problems
