"""Real sync workers remember their peers, forget them by order and by goodbye, and reach them without discovery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from peatnode.errors import AskFailed, LinkLost
from peatnode.ipc import messages
from tests.support.sync_mesh import Worker, introduce
from tests.support.waiting import until


class Society:
    """Workers that have met."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.workers: list[Worker] = []

    async def meet(self, *names: str) -> list[Worker]:
        for name in names:
            worker = Worker(self._directory, name)
            self.workers.append(worker)
            await worker.open()
        introduce(*self.workers)
        for worker in self.workers:
            await worker.wait_connected(len(self.workers) - 1)
        return self.workers


@pytest.fixture
async def society(tmp_path: Path) -> AsyncIterator[Society]:
    society = Society(tmp_path)
    yield society
    for worker in society.workers:
        await worker.close()


def kept(worker: Worker) -> dict[str, str]:
    """The peers that the store of a node keeps, and their last instances."""
    peers = worker.store.standin.members.peers
    return {name: peer.instance for name, peer in peers.items()}


async def events(worker: Worker, peer: str) -> list[str]:
    reply: messages.PeerLogReply = await worker.ask(messages.GetPeerLog())
    return [event.kind.value for event in reply.events if event.peer == peer]


async def states(worker: Worker) -> dict[str, messages.PeerState]:
    """By node id; empty while the process is being replaced."""
    try:
        return {state.id: state for state in await worker.peers()}
    except LinkLost:
        return {}


def kinds_kept(worker: Worker) -> list[str]:
    return [event.kind.value for event in worker.store.standin.members.events]


def forget_in_discovery(*workers: Worker) -> None:
    for worker in workers:
        worker.discovery.peers.clear()


async def test_a_killed_peer_is_absent_also_after_a_restart_and_without_discovery(
    society: Society,
) -> None:
    a, b = await society.meet("node-a", "node-b")
    await until(lambda: kept(a).keys() == {"node-b"}, 15.0)
    b.kill()
    forget_in_discovery(a)
    a.kill()
    a.start_process()

    async def is_absent() -> bool:
        state = (await states(a)).get("node-b")
        return state is not None and state.is_remembered and not state.is_connected

    await until(is_absent, 15.0)
    state = (await states(a))["node-b"]
    assert state.state is messages.PeerStatus.ABSENT
    assert state.absent_since > 0
    assert state.addresses == (f"127.0.0.1:{b.port}",)


async def test_members_find_each_other_where_they_were(society: Society) -> None:
    """Both have been restarted, and discovery finds nobody."""
    workers = await society.meet("node-a", "node-b")
    await until(lambda: all(len(kept(worker)) == 1 for worker in workers), 15.0)
    forget_in_discovery(*workers)
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.start_process()

    async def have_met() -> bool:
        found = [await states(worker) for worker in workers]
        return all(any(state.is_connected for state in each.values()) for each in found)

    await until(have_met, 30.0)


async def test_forgetting_spreads_and_a_node_that_returns_is_a_member_again(
    society: Society,
) -> None:
    a, b, c = await society.meet("node-a", "node-b", "node-c")
    with pytest.raises(AskFailed, match="is connected"):
        await a.ask(messages.ForgetPeer("node-c"))
    c.kill()
    await a.wait_connected(1)
    await b.wait_connected(1)
    await until(lambda: "node-c" in kept(a) and "node-c" in kept(b))
    await a.ask(messages.ForgetPeer("node-c"))
    await until(lambda: "node-c" not in kept(a) and "node-c" not in kept(b), 15.0)
    assert (await events(b, "node-c"))[-1] == "forgotten"
    with pytest.raises(AskFailed, match="remembers no peer"):
        await a.ask(messages.ForgetPeer("node-c"))
    c.start_process()
    await until(lambda: "node-c" in kept(a) and "node-c" in kept(b), 30.0)
    assert a.store.standin.members.departures == b.store.standin.members.departures == ()


@pytest.mark.parametrize("is_ordered", [True, False], ids=["by-order", "by-discovery"])
async def test_a_node_that_leaves_for_good_is_forgotten(society: Society, is_ordered: bool) -> None:
    a, b, c = await society.meet("node-a", "node-b", "node-c")
    await until(lambda: "node-c" in kept(a) and "node-c" in kept(b), 15.0)
    if is_ordered:
        await c.ask(messages.LeaveMesh())
    else:
        c.discovery.is_departure = True
    assert await asyncio.to_thread(c.terminate) == 0
    await until(lambda: "node-c" not in kept(a) and "node-c" not in kept(b), 15.0)
    assert (await events(a, "node-c"))[-1] in ("left", "forgotten")
    assert kept(a).keys() == {"node-b"}
    assert {d.node_id for d in a.store.standin.members.departures} == {"node-c"}


async def test_a_node_that_only_stops_is_remembered(society: Society) -> None:
    a, b = await society.meet("node-a", "node-b")
    assert await asyncio.to_thread(b.terminate) == 0
    await a.wait_connected(0)
    await until(lambda: kinds_kept(a)[-1:] == ["disconnected"], 15.0)
    assert kept(a) == {"node-b": b.instance}
    assert kept(b) == {"node-a": a.instance}
    assert "connected" in kinds_kept(b)
    assert "disconnected" not in kinds_kept(b)


async def test_a_newcomer_is_told_of_departures(society: Society) -> None:
    a, b, c = await society.meet("node-a", "node-b", "node-c")
    await until(lambda: all(len(kept(worker)) == 2 for worker in society.workers), 15.0)
    b.kill()
    await c.ask(messages.LeaveMesh())
    assert await asyncio.to_thread(c.terminate) == 0
    await until(lambda: "node-c" not in kept(a), 15.0)
    b.start_process()
    await until(lambda: "node-c" not in kept(b), 30.0)
