"""Too little memory ends one request, with a sentence, and no process.

The limit is real: RLIMIT_AS of the running process is set to what it uses and a little more, so that the kernel
refuses the allocations of a large answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peatnode.errors import AskFailed, LinkLost
from peatnode.ipc.messages import GetDocument, ListDocuments
from tests.support.nodes import Node, nodes
from tests.support.store_node import StoreNode
from tests.support.waiting import wait

pytestmark = pytest.mark.timeout(60)

MIB = 2**20


@contextlib.contextmanager
def limited(pid: int, spare: int) -> Iterator[None]:
    """The process may map `spare` bytes more than it has."""
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + spare
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


async def test_a_listing_that_the_store_cannot_hold_is_refused_and_the_store_goes_on(
    tmp_path: Path,
) -> None:
    async with StoreNode(tmp_path, engine=False) as node:
        for n in range(100):
            await node.put("c", f"d{n:03}", b'{"x":"%s"}' % os.urandom(80_000).hex().encode())
        await node.put("small", "one", b'{"a":1}')
        for n in range(0, 100, 10):  # fills the caches, whose memory is not that of an answer
            await node.ask(ListDocuments("c", f"d{n:03}", 10, 2 * MIB))
        pid = node.store.pid
        with limited(pid, 24 * MIB):
            for _ in range(3):
                with pytest.raises(AskFailed) as refused:
                    await node.ask(ListDocuments("c", "", 10_000, 64 * MIB))
                assert refused.value.code == "out_of_memory"
                assert "ask for less at a time" in refused.value.message
                found = await node.ask(GetDocument("small", "one"))
                assert json.loads(found.value) == {"a": 1}
                assert (await node.put("small", "two", b'{"a":2}')).sequence
        listing = await node.ask(ListDocuments("c", "", 10_000, 64 * MIB))
        assert len(listing.documents) >= 99
        assert node.store.pid == pid
        assert node.store.exits == []
        assert node.store.problems == {}


async def test_a_body_that_the_store_cannot_hold_changes_nothing(tmp_path: Path) -> None:
    async with StoreNode(tmp_path, engine=False, PEAT_MAX_BODY_BYTES=str(8 * MIB)) as node:
        await node.put("c", "d", b'{"a":1}')
        with limited(node.store.pid, 6 * MIB):
            body = b'{"x":"%s"}' % os.urandom(4 * MIB - 100).hex().encode()
            with pytest.raises((AskFailed, LinkLost)):
                await node.put("c", "d", body)
            assert json.loads((await node.ask(GetDocument("c", "d"))).value) == {"a": 1}
        assert (await node.put("c", "d", b'{"a":2}')).was_changed
        assert node.store.exits == []


# --- the broker


def request(node: Node, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    asked = urllib.request.Request(node.url + path, body, method=method)
    asked.add_header("content-type", "application/json")
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def serving_pid(node: Node) -> int:
    """The process of the broker that answers: the child of its master."""
    brokers = [p for p in node.pids() if Path(f"/proc/{p}/comm").read_text() == "peat-broker\n"]
    return brokers[-1]


def test_a_listing_that_the_broker_cannot_hold_answers_503_and_the_broker_goes_on() -> None:
    with nodes(1) as (node,):
        for n in range(24):
            body = b'{"x":"%s"}' % os.urandom(500_000).hex().encode()
            assert request(node, f"/documents/c/d{n}", "PUT", body)[0] == 201
        pid = serving_pid(node)
        request(node, "/documents/c?limit=2")
        for spare, query in ((16, "limit=1000"), (48, "limit=1000&sort=x"), (16, "where=x=1")):
            with limited(pid, spare * MIB):
                status, problem = request(node, f"/documents/c?{query}")
                assert (status, problem["type"]) == (503, "urn:peatnode:problem:out-of-memory")
                assert "Ask for less at a time" in problem["detail"]
                assert request(node, "/documents/c?limit=1")[0] == 200
        with limited(pid, 16 * MIB):
            exported = urllib.request.urlopen(node.url + "/documents/c?format=ndjson", timeout=20)
            with exported:  # in parts, so it needs little at a time
                assert sum(1 for _ in exported) == 24
        status, page = request(node, "/documents/c?limit=1000")
        assert (status, json.loads(page)["count"]) == (200, 24)
        assert serving_pid(node) == pid
        wait(node.is_ready, "the node to be ready")
