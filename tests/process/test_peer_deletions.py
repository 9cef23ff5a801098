"""A member that deletes in bulk: at most the limit is gone on the others, and operators decide."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from peatnode.cli.exits import Exit
from peatnode.client import AsyncClient
from tests.support.nodes import Node, nodes, start_all
from tests.support.waiting import wait

DOCUMENTS = 200
LIMIT = 20


@pytest.fixture(scope="module")
def mesh() -> Iterator[list[Node]]:
    with nodes(3, start=False) as made:
        for node in made:
            node.settings["PEAT_MAX_PEER_DELETIONS"] = str(LIMIT)
        start_all(made)
        yield made


def count(node: Node) -> int:
    store = node.get("/node")["store"]
    return int(store["documents"]) if store else -1


def are_equal(*many: Node) -> bool:
    return len({node.root() for node in many}) == 1


def refused(node: Node, insider: Node) -> int:
    return int(node.peer(insider.name)["deletions_refused"])


async def each(node: Node, method: str, ttl: float | None = None) -> None:
    """Puts or deletes all documents through a node, 50 at a time."""
    async with AsyncClient(f"http://127.0.0.1:{node.api_port}") as client:
        at_once = asyncio.Semaphore(50)

        async def one(name: str) -> None:
            async with at_once:
                if method == "put":
                    await client.put("c", name, {"name": name}, ttl=ttl)
                else:
                    await client.delete("c", name)

        await asyncio.gather(*(one(f"d{number}") for number in range(DOCUMENTS)))


def worker_pid(node: Node, worker: str) -> int:
    return next(int(one["pid"]) for one in node.get("/node")["workers"] if one["name"] == worker)


def kill(node: Node, worker: str) -> None:
    before = worker_pid(node, worker)
    os.kill(before, signal.SIGKILL)
    wait(lambda: worker_pid(node, worker) not in (0, before), f"another {worker} worker")
    wait(node.is_ready, "the node to be ready again")


def is_paused(node: Node, insider: Node) -> bool:
    return bool(node.peer(insider.name).get("deletions_paused_since"))


def findings(node: Node, where: str) -> list[str]:
    return [one["message"] for one in node.get("/ready")["findings"] if one["where"] == where]


def test_what_a_member_has_just_written_it_may_delete(mesh: list[Node]) -> None:
    first, second, third = mesh
    asyncio.run(each(third, "put"))
    asyncio.run(each(third, "put", ttl=3600.0))
    wait(lambda: count(first) == DOCUMENTS and are_equal(*mesh), "the mesh to be equal")
    asyncio.run(each(third, "delete"))
    wait(lambda: are_equal(*mesh), "the mesh to be equal")
    assert [count(node) for node in mesh] == [0, 0, 0]
    assert not is_paused(first, third)
    assert not is_paused(second, third)


def test_expiries_that_a_member_sets_by_the_thousand_are_paused_on_all_others(
    mesh: list[Node],
) -> None:
    first, insider, third = mesh
    asyncio.run(each(first, "put"))
    wait(lambda: count(insider) == DOCUMENTS and are_equal(*mesh), "the mesh to be equal")
    asyncio.run(each(insider, "put", ttl=2.0))
    wait(lambda: count(insider) == 0, "the documents to have expired where that was written")
    for node in (first, third):
        wait(lambda node=node: is_paused(node, insider), "the deletions to be paused")
        wait(lambda node=node: refused(node, insider) >= DOCUMENTS - 2 * LIMIT, "the refusals")
        wait(lambda node=node: count(node) < DOCUMENTS, "what was let through to expire")
        assert count(node) >= DOCUMENTS - 2 * LIMIT
    for node in (first, third):
        done = node.command("peers", "allow-deletions", insider.name)
        assert (done.returncode, done.stderr) == (Exit.OK, "")
    wait(lambda: [count(node) for node in mesh] == [0, 0, 0], "what was refused to be fetched")


def test_a_mass_deletion_of_one_member_is_paused_on_all_others(mesh: list[Node]) -> None:
    first, second, insider = mesh
    asyncio.run(each(first, "put"))
    wait(lambda: count(insider) == DOCUMENTS and are_equal(*mesh), "the mesh to be equal")
    asyncio.run(each(insider, "delete"))
    assert count(insider) == 0
    honest = (first, second)
    for node in honest:
        wait(lambda node=node: is_paused(node, insider), "the deletions to be paused")
        wait(
            lambda node=node: refused(node, insider) >= count(node), "all that lives to be refused"
        )
        assert count(node) >= DOCUMENTS - 2 * LIMIT  # those of one minute, and what the other lost
        assert any("eletions of node-2 are paused" in one for one in findings(node, "store"))
        wait(lambda node=node: not node.peer(insider.name)["in_sync"], "the roots to be compared")
        assert "paused" in node.command("status").stdout
        events = node.get("/peer-log")["events"]
        assert "paused" in [event["kind"] for event in events if event["peer"] == insider.name]
    for worker in ("sync", "store"):
        kill(first, worker)
        wait(lambda: is_paused(first, insider), f"the pause to be known after the end of {worker}")
    wait(lambda: first.peer(insider.name)["connected"], "the insider to be back")
    assert count(first) >= DOCUMENTS - 2 * LIMIT
    done = first.command("peers", "allow-deletions", insider.name)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    wait(lambda: not is_paused(first, insider), "the pause to end")
    wait(lambda: count(first) == 0, "the deletions to be fetched")
    assert not is_paused(first, insider)
    unknown = second.command("peers", "allow-deletions", first.name)
    assert (unknown.returncode, "are not paused" in unknown.stderr) == (Exit.NOT_FOUND, True)
