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


def send(node: Node, method: str, name: str, body: object = None) -> None:
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    request = urllib.request.Request(
        f"{node.url}/documents/{name}",
        json.dumps(body).encode(),
        {"Content-Type": kind},
        method=method,
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
        send(pair[0], "PUT", f"{collection}/{name}", {"base": 1, key: name})
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
        send(node, "PUT", "filler/one", {"text": os.urandom(400_000).hex()})


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


def witness_of(node: Node) -> Path:
    store = os.fsencode(os.path.realpath(node.directory / "store"))
    for place in (Path("/dev/shm"), Path(f"/run/user/{os.getuid()}"), Path("/tmp")):
        for file in place.glob(f"peatnode-{os.getuid()}/*"):
            if file.read_bytes().endswith(store):
                return file
    pytest.skip("no tmpfs holds the witness")


BASES: dict[str, tuple[int, dict[str, object]]] = {
    "longer": (3, {"base": 1}),
    "shorter": (1, {"base": 1}),
    "equal": (2, {"base": 1}),
    "list": (2, {"list": ["base", "base"]}),
    "cleared": (2, {"base": 1, "drop before 1": 1, "drop after 1": 1}),
    "again": (2, {"base": 1}),
    "new": (2, {}),
}
"""Documents that are written before and after the machine goes back: how often before, and what all have."""


def write_each(node: Node, writer: str) -> None:
    """Writes to each document: twice after the machine went back, and before as often as BASES says."""
    for name, (times, _) in BASES.items():
        for number in range(times if writer == "before" else 2):
            body: dict[str, object] = {f"{writer} {number}": 1}
            if name == "list":
                body = {"list": ["base", "base", *[f"{writer} {n}" for n in range(number + 1)]]}
            elif name == "cleared":
                body[f"drop {writer} 1"] = None
            is_first = name == "new" and not number
            send(node, "PUT" if is_first else "PATCH", f"back/{name}", body)
    send(node, "PUT", f"back/only-{writer}", {writer: 1})


def is_complete(documents: dict[str, dict[str, object]]) -> bool:
    """Whether everything is there that was acknowledged before or after the machine went back."""
    for name, (times, base) in BASES.items():
        written = {f"before {n}" for n in range(times)} | {f"after {n}" for n in range(2)}
        if name == "list":
            items = documents[name]["list"]
            assert isinstance(items, list)
            if sorted(items) != sorted(["base", "base", *written]):
                return False
        elif name == "cleared":
            if set(documents[name]) != {"base", *written}:
                return False
        elif set(documents[name]) != {*base, *written}:
            return False
    return documents["only-before"] == {"before": 1} and documents["only-after"] == {"after": 1}


def test_a_machine_whose_memory_and_disk_go_back_writes_again(
    pair: tuple[Node, Node], tmp_path: Path
) -> None:
    """The store cannot notice it at its start, because the witness goes back too. Its peer tells."""
    node, peer = pair
    send(node, "PUT", "back/again", {"ended": 1})
    send(node, "DELETE", "back/again")
    for name, (_, base) in BASES.items():
        if base:
            send(node, "PUT", f"back/{name}", base)
    wait(lambda: node.root() == peer.root(), "both to agree", 20)
    node.stop()
    witness = witness_of(node)
    noted = witness.read_bytes()
    shutil.copytree(node.directory / "store", tmp_path / "image")
    node.start()
    write_each(node, "before")
    wait(lambda: node.root() == peer.root(), "both to agree", 20)
    node.stop()
    peer.stop()
    put_image_back(tmp_path / "image", node.directory / "store")
    witness.write_bytes(noted)
    node.start()
    write_each(node, "after")
    assert "only-before" not in all_of(node)
    peer.start()
    wait(
        lambda: all_of(node) == all_of(peer) and is_complete(all_of(node)),
        "all documents to be equal, and complete",
        30,
        pause=0.3,
    )
    assert node.root() == peer.root()
    problems = [problem["name"] for problem in node.get("/node")["problems"]]
    assert "withdrawn" in problems


def all_of(node: Node) -> dict[str, dict[str, object]]:
    names = [*BASES, "only-before", "only-after"]
    found = {name: content(node, f"back/{name}") for name in names}
    return {name: body for name, body in found.items() if isinstance(body, dict)}
