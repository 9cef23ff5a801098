"""Two whole nodes, one of which loses changes that its peer has, and writes before it reaches the peer again.

Contents are compared: with clocks that were used twice, roots and state vectors are equal although documents differ.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from peatnode.ipc.messages import WriteKind
from tests.support.nodes import Node, nodes
from tests.support.store_node import StoreNode
from tests.support.waiting import wait

pytestmark = pytest.mark.timeout(120)

DOCUMENTS = [f"d{number}" for number in range(5)]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Node, Node]]:
    with nodes(2) as running:
        yield running[0], running[1]


def put(node: Node, name: str, body: object) -> None:
    request = urllib.request.Request(
        f"{node.url}/documents/{name}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=20):
        pass


def content(node: Node, name: str) -> object:
    try:
        return node.get(f"/documents/{name}")["document"]
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def contents(node: Node, collection: str) -> dict[str, object]:
    return {name: content(node, f"{collection}/{name}") for name in DOCUMENTS}


def store_pid(node: Node) -> int:
    workers = node.get("/node")["workers"]
    return next(int(worker["pid"]) for worker in workers if worker["name"] == "store")


def take_image(node: Node, image: Path) -> None:
    """A copy of the volume as it is at one moment."""
    pid = store_pid(node)
    os.kill(pid, signal.SIGSTOP)
    try:
        shutil.copytree(node.directory / "store", image)
    finally:
        os.kill(pid, signal.SIGCONT)


def put_image_back(image: Path, store: Path) -> None:
    """Inodes and times are those of then, of CURRENT also the time of its last change."""
    for file in store.iterdir():
        if not (image / file.name).exists():
            file.unlink()
    for kept in image.iterdir():
        file = store / kept.name
        if not file.exists() or file.read_bytes() != kept.read_bytes():
            file.write_bytes(kept.read_bytes())
            shutil.copystat(kept, file)


def write_alone(node: Node, collection: str) -> set[str]:
    """Writes to each document while no peer can be reached. Returns the problems that the store reported."""

    async def write() -> set[str]:
        async with StoreNode(node.directory, HOSTNAME=node.name) as store:
            for name in DOCUMENTS:
                body = json.dumps({"alone": name, "more": 1}).encode()
                await store.put(collection, name, body, WriteKind.PATCH)
            return set(store.store.problems)

    return asyncio.run(write())


def write_and_wait(pair: tuple[Node, Node], collection: str, key: str) -> None:
    for name in DOCUMENTS:
        put(pair[0], f"{collection}/{name}", {"base": 1, key: name})
    wait(lambda: pair[0].root() == pair[1].root(), "both to agree", 20)


def check_all_equal(pair: tuple[Node, Node], collection: str) -> None:
    """What the peer had, and what was written alone, is in each document of both nodes."""
    expected = {name: {"base": 1, "lost": name, "alone": name, "more": 1} for name in DOCUMENTS}
    wait(
        lambda: [contents(node, collection) for node in pair] == [expected, expected],
        f"all documents to be {expected}",
        20,
        pause=0.2,
    )
    assert pair[0].root() == pair[1].root()


def test_an_image_of_the_volume_put_back_a_moment_later(
    pair: tuple[Node, Node], tmp_path: Path
) -> None:
    node = pair[0]
    write_and_wait(pair, "image", "first")
    take_image(node, tmp_path / "image")
    write_and_wait(pair, "image", "lost")
    node.stop()
    put_image_back(tmp_path / "image", node.directory / "store")
    assert "lost" in write_alone(node, "image")
    node.start()
    check_all_equal(pair, "image")


def newest_log(node: Node) -> Path:
    return max((node.directory / "store").glob("*.log"))


def begin_new_log(node: Node) -> None:
    """Writes until RocksDB writes its memory to a sorted file."""
    before = newest_log(node)
    while newest_log(node) == before:
        put(node, "filler/one", {"text": os.urandom(400_000).hex()})


def _empty(log: Path) -> None:
    os.truncate(log, 0)


@pytest.mark.parametrize(("loses", "problem"), [(_empty, "lost"), (Path.unlink, "mended")])
def test_the_newest_log_is_lost_after_older_changes_reached_sorted_files(
    pair: tuple[Node, Node], loses: Callable[[Path], None], problem: str
) -> None:
    node = pair[0]
    write_and_wait(pair, problem, "first")
    begin_new_log(node)
    write_and_wait(pair, problem, "lost")
    node.signal(signal.SIGKILL)
    node.wait_exit()
    assert newest_log(node).stat().st_size
    loses(newest_log(node))
    assert problem in write_alone(node, problem)
    node.start()
    check_all_equal(pair, problem)
