"""A member that deletes by the thousand: at most the limit is gone on the others, and operators decide."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from peatnode.cli.exits import Exit
from peatnode.client import AsyncClient
from tests.support.nodes import Node, nodes
from tests.support.waiting import wait

DOCUMENTS = 1000
LIMIT = 100


@pytest.fixture
def mesh() -> Iterator[list[Node]]:
    with nodes(3, start=False) as made:
        for node in made:
            node.settings["PEAT_MAX_PEER_DELETIONS"] = str(LIMIT)
        for node in made:
            node.start()
        for node in made:
            wait(lambda node=node: node.is_connected(2), f"{node.name} to have its peers")
        yield made


def peatnode(node: Node, *args: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PEAT_")}
    return subprocess.run(
        [sys.executable, "-m", "peatnode.cli", *args],
        env={**clean, "PEAT_DATA_DIR": str(node.directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def count(node: Node) -> int:
    store = node.get("/node")["store"]
    return int(store["documents"]) if store else -1


def seen_by(node: Node, name: str) -> dict[str, Any]:
    return next((peer for peer in node.get("/peers")["peers"] if peer["id"] == name), {})


def are_equal(*many: Node) -> bool:
    return len({node.root() for node in many}) == 1


def refused(node: Node, insider: Node) -> int:
    return int(seen_by(node, insider.name)["deletions_refused"])


FEW = 300
"""Documents where more would only take longer."""


async def each(node: Node, method: str, ttl: float | None = None, count: int = DOCUMENTS) -> None:
    """Puts or deletes so many documents through a node, 50 at a time."""
    async with AsyncClient(f"http://127.0.0.1:{node.api_port}") as client:
        at_once = asyncio.Semaphore(50)

        async def one(name: str) -> None:
            async with at_once:
                if method == "put":
                    await client.put("c", name, {"name": name}, ttl=ttl)
                else:
                    await client.delete("c", name)

        await asyncio.gather(*(one(f"d{number}") for number in range(count)))


def worker_pid(node: Node, worker: str) -> int:
    return next(int(one["pid"]) for one in node.get("/node")["workers"] if one["name"] == worker)


def kill(node: Node, worker: str) -> None:
    before = worker_pid(node, worker)
    os.kill(before, signal.SIGKILL)
    wait(lambda: worker_pid(node, worker) not in (0, before), f"another {worker} worker")
    wait(node.is_ready, "the node to be ready again")


def is_paused(node: Node, insider: Node) -> bool:
    return bool(seen_by(node, insider.name).get("deletions_paused_since"))


def findings(node: Node, where: str) -> list[str]:
    return [one["message"] for one in node.get("/ready")["findings"] if one["where"] == where]


def test_what_a_member_has_just_written_it_may_delete(mesh: list[Node]) -> None:
    first, second, third = mesh
    asyncio.run(each(third, "put"))
    asyncio.run(each(third, "put", ttl=3600.0, count=FEW))
    wait(lambda: count(first) == DOCUMENTS and are_equal(*mesh), "the mesh to be equal", 60)
    asyncio.run(each(third, "delete"))
    wait(lambda: are_equal(*mesh), "the mesh to be equal", 60)
    assert [count(node) for node in mesh] == [0, 0, 0]
    assert not is_paused(first, third)
    assert not is_paused(second, third)


def test_expiries_that_a_member_sets_by_the_thousand_are_paused_on_all_others(
    mesh: list[Node],
) -> None:
    first, second, insider = mesh
    asyncio.run(each(first, "put", count=FEW))
    wait(lambda: count(insider) == FEW and are_equal(*mesh), "the mesh to be equal", 60)
    asyncio.run(each(insider, "put", ttl=2.0, count=FEW))
    wait(lambda: count(insider) == 0, "the documents to have expired where that was written", 60)
    for node in (first, second):
        wait(lambda node=node: is_paused(node, insider), "the deletions to be paused")
        wait(lambda node=node: refused(node, insider) >= FEW - 2 * LIMIT, "the refusals", 60)
        wait(lambda node=node: count(node) < FEW, "what was let through to expire", 60)
        assert count(node) >= FEW - 2 * LIMIT
    done = peatnode(second, "peers", "allow-deletions", insider.name)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    wait(lambda: count(second) == 0, "what was refused to be fetched", 60)


def test_a_mass_deletion_of_one_member_is_paused_on_all_others(mesh: list[Node]) -> None:
    first, second, insider = mesh
    asyncio.run(each(first, "put"))
    wait(lambda: count(insider) == DOCUMENTS and are_equal(*mesh), "the mesh to be equal", 60)
    asyncio.run(each(insider, "delete"))
    assert count(insider) == 0
    honest = (first, second)
    for node in honest:
        wait(lambda node=node: is_paused(node, insider), "the deletions to be paused")
        wait(lambda node=node: refused(node, insider) >= DOCUMENTS - 2 * LIMIT, "the refusals", 60)
        assert count(node) >= DOCUMENTS - 2 * LIMIT  # those of one minute, and what the other lost
        assert any("eletions of node-2 are paused" in one for one in findings(node, "store"))
        seen = seen_by(node, insider.name)
        assert not seen["in_sync"]
        assert "paused" in peatnode(node, "status").stdout
        kinds = [event["kind"] for event in node.get("/peer-log")["events"]]
        assert "paused" in kinds
    kept = count(first)
    for worker in ("sync", "store"):
        kill(first, worker)
        wait(lambda: is_paused(first, insider), f"the pause to be known after the end of {worker}")
    wait(lambda: seen_by(first, insider.name)["connected"], "the insider to be back")
    assert count(first) == kept
    done = peatnode(first, "peers", "allow-deletions", insider.name)
    assert (done.returncode, done.stderr) == (Exit.OK, "")
    wait(lambda: not is_paused(first, insider), "the pause to end")
    wait(lambda: count(first) == 0, "the deletions to be fetched", 60)
    assert not is_paused(first, insider)
    unknown = peatnode(second, "peers", "allow-deletions", first.name)
    assert (unknown.returncode, "are not paused" in unknown.stderr) == (Exit.NOT_FOUND, True)
